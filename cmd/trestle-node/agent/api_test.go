package agent

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/trestle-cni/trestle/cmd/trestle-node/kube"
)

// What client-go says of the trouble that is made for it nobody wants to read.
func TestMain(m *testing.M) {
	klog.SetSlogLogger(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// api is an API server that has Nodes and nothing else, and does what a real one does seldom: it forgets, it is too busy, it breaks off.
type api struct {
	*httptest.Server
	mutex    sync.Mutex
	version  int
	oldest   int // what came before is forgotten
	nodes    map[string]map[string]any
	events   []event
	watches  map[chan event]bool
	trouble  []func(http.ResponseWriter) // of the next requests
	noStream bool                        // as before Kubernetes 1.34: no list as a stream
	asked    []string
}

type event struct {
	version int
	Type    string         `json:"type"`
	Object  map[string]any `json:"object"`
	torn    bool
}

func startAPI(t *testing.T) *api {
	t.Helper()
	a := &api{version: 100, nodes: make(map[string]map[string]any), watches: make(map[chan event]bool)}
	a.Server = httptest.NewServer(a)
	t.Cleanup(func() {
		a.CloseClientConnections()
		a.Close()
	})
	return a
}

func (a *api) cluster(t *testing.T) *kube.Cluster {
	t.Helper()
	c, err := kube.Over(&rest.Config{Host: a.URL})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// put makes or changes a Node; its CIDRs are words. What is no business of ours is there, too.
func (a *api) put(name, cidrs string) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	kind := "MODIFIED"
	n := a.nodes[name]
	if n == nil {
		kind, n = "ADDED", map[string]any{"kind": "Node", "apiVersion": "v1"}
		n["metadata"] = map[string]any{"name": name, "creationTimestamp": time.Unix(int64(a.version), 0).UTC().Format(time.RFC3339), "labels": map[string]any{"zone": "a"}}
	}
	spec := map[string]any{"taints": []any{map[string]any{"key": "x"}}}
	if list := strings.Fields(cidrs); len(list) > 0 {
		spec["podCIDR"], spec["podCIDRs"] = list[0], list
	}
	n["spec"] = spec
	n["status"] = map[string]any{"addresses": []any{map[string]any{"type": "Hostname", "address": name}, map[string]any{"type": "InternalIP", "address": "192.0.2.1"}}}
	a.nodes[name] = n
	a.tell(kind, n)
}

func (a *api) remove(name string) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	n := a.nodes[name]
	delete(a.nodes, name)
	a.tell("DELETED", n)
}

// tell sends a copy to all who watch. The caller has the lock.
func (a *api) tell(kind string, n map[string]any) {
	a.version++
	n["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(a.version)
	e := event{version: a.version, Type: kind, Object: clone(n)}
	a.events = append(a.events, e)
	for w := range a.watches {
		w <- e
	}
}

func clone(n map[string]any) (c map[string]any) {
	text, _ := json.Marshal(n)
	_ = json.Unmarshal(text, &c)
	return c
}

// expire forgets all versions, as a compaction does, and says so to who watches.
func (a *api) expire() {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.version++
	a.oldest = a.version
	for w := range a.watches {
		w <- event{Type: "ERROR", Object: status(http.StatusGone, "Expired")}
	}
}

// tear breaks off every watch in the middle of an event.
func (a *api) tear() {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	for w := range a.watches {
		w <- event{torn: true}
	}
}

// then lets the next requests end in this way.
func (a *api) then(trouble ...func(http.ResponseWriter)) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.trouble = append(a.trouble, trouble...)
}

func status(code int, reason string) map[string]any {
	return map[string]any{"kind": "Status", "apiVersion": "v1", "metadata": map[string]any{}, "status": "Failure", "reason": reason, "code": code, "message": "the double says " + reason}
}

// fails is an answer that is none.
func fails(code int, reason, after string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		if after != "" {
			w.Header().Set("Retry-After", after)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(status(code, reason))
	}
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	q := r.URL.Query()
	a.asked = append(a.asked, r.URL.RawQuery)
	since, _ := strconv.Atoi(q.Get("resourceVersion"))
	var trouble func(http.ResponseWriter)
	switch {
	case r.Method != http.MethodGet || r.URL.Path != "/api/v1/nodes":
		trouble = fails(http.StatusForbidden, "Forbidden", "")
	case len(a.trouble) > 0:
		trouble, a.trouble = a.trouble[0], a.trouble[1:]
	case q.Get("sendInitialEvents") != "" && a.noStream:
		trouble = fails(http.StatusUnprocessableEntity, "Invalid", "")
	case q.Get("sendInitialEvents") == "" && since > 0 && since < a.oldest:
		trouble = fails(http.StatusGone, "Expired", "")
	}
	w.Header().Set("Content-Type", "application/json")
	switch {
	case trouble != nil:
		trouble(w)
	case q.Get("watch") == "":
		items := []any{}
		for _, n := range a.nodes {
			items = append(items, n)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "NodeList", "apiVersion": "v1", "metadata": map[string]any{"resourceVersion": strconv.Itoa(a.version)}, "items": items})
	default:
		a.watch(w, r, since, q.Get("sendInitialEvents") != "")
	}
}

// watch is called and returns with the lock.
func (a *api) watch(w http.ResponseWriter, r *http.Request, since int, whole bool) {
	news := make(chan event, 1000+2*len(a.nodes))
	if whole {
		for _, n := range a.nodes {
			news <- event{Type: "ADDED", Object: clone(n)}
		}
		news <- event{Type: "BOOKMARK", Object: map[string]any{"kind": "Node", "apiVersion": "v1", "metadata": map[string]any{
			"resourceVersion": strconv.Itoa(a.version), "annotations": map[string]any{"k8s.io/initial-events-end": "true"}}}}
	}
	for _, e := range a.events {
		if !whole && e.version > since {
			news <- e
		}
	}
	a.watches[news] = true
	a.mutex.Unlock()
	defer func() {
		a.mutex.Lock()
		delete(a.watches, news)
	}()
	stream := json.NewEncoder(w)
	for w.(http.Flusher).Flush(); ; w.(http.Flusher).Flush() {
		select {
		case <-r.Context().Done():
			return
		case e := <-news:
			if e.torn {
				fmt.Fprint(w, `{"type":"MODIFIED","object":{"kind":"Node","apiVersion":"v1","metadata":{"name":"n1","resource`)
				return
			}
			_ = stream.Encode(e)
			if e.Type == "ERROR" {
				return
			}
		}
	}
}

// wanted are the queries that had this in them.
func (a *api) wanted(text string) (n int) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return len(slices.DeleteFunc(slices.Clone(a.asked), func(q string) bool { return !strings.Contains(q, text) }))
}
