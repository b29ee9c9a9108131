package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// Cluster is what an API server says of its Nodes.
type Cluster struct {
	client   *rest.RESTClient
	host     string
	patience time.Duration
	nodes    nodes
	heard    func(error)
}

// Dial makes a client of the kubeconfig's, or where that is "" of the account that the cluster gives a pod. It asks nothing yet. What client-go says goes to the log.
func Dial(kubeconfig string, log *slog.Logger) (*Cluster, error) {
	klog.SetSlogLogger(log)
	conf, err := rest.InClusterConfig()
	if kubeconfig != "" {
		conf, err = clientcmd.BuildConfigFromFlags("", kubeconfig)
	}
	if err == nil {
		return Over(conf)
	}
	return nil, fault.New(fault.Config, "run as a pod with a service account, or name a kubeconfig", "kubernetes: %w", err)
}

// Over is a cluster at this address. Its Timeout is for how long the API server may be silent while it owes an answer; 0: for as long as is usual.
func Over(conf *rest.Config) (*Cluster, error) {
	version := schema.GroupVersion{Version: "v1"}
	scheme := runtime.NewScheme()
	scheme.AddKnownTypeWithName(version.WithKind("Node"), &object{})
	scheme.AddKnownTypeWithName(version.WithKind("NodeList"), &objects{})
	metav1.AddToGroupVersion(scheme, version)
	patience := cmp.Or(conf.Timeout, usual)
	conf.Timeout = 0 // client-go would end a watch by it
	conf.APIPath, conf.GroupVersion = "/api", &version
	conf.ContentType, conf.UserAgent = runtime.ContentTypeJSON, "trestle-node"
	conf.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	client, err := rest.RESTClientFor(conf)
	if err != nil {
		return nil, fault.New(fault.Config, "mend the kubeconfig", "kubernetes: %w", err)
	}
	return &Cluster{client: client, host: conf.Host, patience: patience, nodes: nodes{all: make(map[string]Node)}}, nil
}

// Nodes are all that there are, in the order of their names; false before the API server has said so once.
func (c *Cluster) Nodes() ([]Node, bool) { return c.nodes.list() }

// first is the pause after a failure; then it is twice as long each time, up to half a minute, and no two hosts' are alike.
const first = 500 * time.Millisecond

// Follow hears of Nodes until ctx ends. Changed is called when Nodes has become another; heard with each answer or failure of the API server. What is torn is
// begun anew where it was, what the server has forgotten from the beginning; what was heard stays meanwhile.
func (c *Cluster) Follow(ctx context.Context, changed func(), heard func(error)) {
	c.nodes.changed, c.heard = changed, heard
	pauses := wait.Backoff{Duration: first, Cap: 30 * time.Second, Steps: 7, Factor: 2, Jitter: 1}
	asked := &cache.ListWatch{ListWithContextFunc: c.ask, WatchFuncWithContext: c.watch}
	cache.NewReflectorWithOptions(asked, &object{}, &c.nodes, cache.ReflectorOptions{Name: "nodes", Backoff: &pauses}).RunWithContext(ctx)
}

func (c *Cluster) ask(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	list, err := c.list(ctx, options)
	c.heard(cause(err))
	return list, err
}

func (c *Cluster) list(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ctx, answer := c.await(ctx, func(error) {}) // ask tells
	text, err := c.request(options).Stream(ctx)
	if err != nil {
		return nil, answer.cause(ctx, err)
	}
	defer text.Close()
	list, err := readList(answer.read(text))
	if err != nil {
		return nil, answer.cause(ctx, err) // a list of nothing is no nil
	}
	return list, nil
}

// watch is well when the server answers or, where it owes all Nodes first, with the last of them. It ends a watch itself in the time that it was told.
func (c *Cluster) watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.Watch = true
	ctx, stop := context.WithTimeout(ctx, time.Duration(*options.TimeoutSeconds)*time.Second+2*c.patience)
	ctx, answer := c.await(ctx, c.heard)
	w, err := c.request(options).Watch(ctx)
	if err != nil {
		err = answer.cause(ctx, err)
		stop()
		c.heard(cause(err))
		return nil, err
	}
	owes := options.SendInitialEvents != nil && *options.SendInitialEvents
	if !owes {
		answer.whole(c.heard)
	}
	return stream{watch.Filter(w, func(e watch.Event) (watch.Event, bool) {
		switch {
		case owes && last(e):
			owes = false
			answer.whole(c.heard)
		case owes:
			answer.hears()
		}
		return e, true
	}), stop}, nil
}

// cause is an error without the request's address: what is asked is no news, and no two requests are alike, so that one trouble would look like many.
func cause(err error) error {
	var asked *url.Error
	if !errors.As(err, &asked) {
		return err
	}
	if at, bad := url.Parse(asked.URL); bad == nil {
		return fmt.Errorf("%s: %w", at.Host, asked.Err)
	}
	return asked.Err
}

func (c *Cluster) request(options metav1.ListOptions) *rest.Request {
	return c.client.Get().Resource("nodes").VersionedParams(&options, metav1.ParameterCodec)
}
