package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/trestle-cni/trestle/cmd/trestle-node/kube"
	"github.com/trestle-cni/trestle/cmd/trestle-node/kube/apitest"
	"github.com/trestle-cni/trestle/cmd/trestle-node/ledger"
	"github.com/trestle-cni/trestle/cmd/trestle-node/life"
	"github.com/trestle-cni/trestle/cmd/trestle-node/network"
	"github.com/trestle-cni/trestle/pkg/ipam"
	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
	"github.com/trestle-cni/trestle/test/built"
	"github.com/trestle-cni/trestle/test/reference"
	"github.com/trestle-cni/trestle/test/slack"
)

// bundle is our plugins.
var bundle string

// What client-go says of the trouble that is made for it nobody wants to read.
func TestMain(m *testing.M) {
	klog.SetSlogLogger(slog.New(slog.DiscardHandler))
	os.Exit(built.Run(m, "agent", func(folder string) (err error) {
		bundle, err = built.Bundle(folder)
		return err
	}))
}

// hosted is a member with directories of its own, and what it says.
type hosted struct {
	t      *testing.T
	wait   time.Duration // for a word of the API server; 0: as long as is usual
	places ledger.Places
	member *Member
	said   lines
	never  string // what it must not say
	ended  chan error
	end    context.CancelFunc
}

// lines are those of a log.
type lines chan string

func (l lines) Write(text []byte) (int, error) {
	l <- string(text)
	return len(text), nil
}

func newHost(t *testing.T) *hosted {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "member")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := &hosted{t: t, said: make(lines, 1000), places: ledger.Places{Network: "pods", Ranges: dir + "/run/pods.json", Data: dir + "/books"}}
	h.member = &Member{Name: "n1", Network: network.Network{Name: "pods", Ranges: h.places.Ranges, Conflist: dir + "/net.d/10-pods.conflist", Plugins: dir + "/bin",
		Exclude: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}}
	for _, name := range []string{"bridge", "host-local", "portmap"} {
		h.plugin(name, bundle)
	}
	return h
}

// plugin puts a program in the place of a plugin.
func (h *hosted) plugin(name, program string) {
	h.t.Helper()
	path := filepath.Join(h.member.Network.Plugins, name)
	if err := errors.Join(os.MkdirAll(h.member.Network.Plugins, 0o755), os.RemoveAll(path), os.Symlink(program, path)); err != nil {
		h.t.Fatal(err)
	}
}

// start lets it run against the API server.
func (h *hosted) start(a *apitest.API) {
	h.t.Helper()
	var err error
	if h.member.Grant, err = ledger.OpenGrant(h.places, h.member.Name); err != nil {
		h.t.Fatal(err)
	}
	h.member.Cluster, h.member.Life = h.cluster(a), life.New(life.Log(h.said), MemberParts...)
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	h.ended, h.end = ended, end
	go func() {
		defer close(ended)
		ended <- h.member.Run(ctx)
	}()
	h.t.Cleanup(func() { // its files go when it is gone
		end()
		<-ended
	})
}

func (h *hosted) cluster(a *apitest.API) *kube.Cluster {
	h.t.Helper()
	c, err := kube.Over(&rest.Config{Host: a.URL, Timeout: h.wait})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// stop ends it as a signal does.
func (h *hosted) stop() {
	h.t.Helper()
	h.end()
	if err := errors.Join(<-h.ended, h.member.Grant.Close()); err != nil {
		h.t.Error(err)
	}
}

// hear waits until it has said so.
func (h *hosted) hear(text string) {
	h.t.Helper()
	late := time.After(slack.Of(20 * time.Second))
	for {
		select {
		case line := <-h.said:
			if h.never != "" && strings.Contains(line, h.never) {
				h.t.Fatalf("before %q: %s", text, line)
			}
			if strings.Contains(line, text) {
				return
			}
		case <-late:
			h.t.Fatalf("%q was never said; %v", text, h.member.Life.Ready())
		}
	}
}

func (h *hosted) ranges() string { return read(h.places.Ranges) }
func (h *hosted) list() string   { return read(h.member.Network.Conflist) }

// read is what a file has, and "" where there is none.
func read(path string) string {
	text, _ := plainfile.Read(path)
	return string(text)
}

const (
	listed = "the runtime has the network's list"
)

func (h *hosted) hands(cidrs string) { h.t.Helper(); h.hear(`"cidrs":"[` + cidrs + `]"`) }

// From a Node that has no CIDR to one that is gone: at each step host-local hands out of what the Node says, and the runtime has a list as soon as there is
// a network, and not before.
func TestMember(t *testing.T) {
	a, h := apitest.Start(t, ""), newHost(t)
	a.Put("n1", "")
	a.Put("n2", "10.0.2.0/24 fd00:2::/64")
	h.start(a)
	h.hear("node n1: has no podCIDR yet")
	if h.list() != "" || strings.Contains(h.ranges(), "subnet") {
		t.Errorf("a Node without CIDR has\n%s\n%s", h.list(), h.ranges())
	}
	a.Put("n1", "10.0.1.0/24 fd00:1::/64")
	h.hear(listed)
	for _, text := range []string{`"subnet": "10.0.1.0/24"`, `"gateway": "10.0.1.1"`, `"subnet": "fd00:1::/64"`} {
		if !strings.Contains(h.ranges(), text) {
			t.Errorf("host-local has no %s in %s", text, h.ranges())
		}
	}
	if !strings.Contains(h.list(), `"rangesFrom": "`+h.places.Ranges) || !strings.Contains(h.list(), `{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }`) {
		t.Errorf("the runtime has %s", h.list())
	}
	if err := h.member.Life.Ready(); err != nil {
		t.Error(err)
	}
	if a.Asked("sendInitialEvents=true") != 1 || a.Asked("") != 1 {
		t.Errorf("Nodes were asked for other than in one stream")
	}
	was := h.list()
	a.Remove("n1")
	h.hear("the cluster has no Node of that name")
	if strings.Contains(h.ranges(), "subnet") || h.list() != was {
		t.Errorf("a Node that was deleted has\n%s\n%s", h.list(), h.ranges())
	}
	a.Put("n1", "10.0.3.0/24")
	h.hands("10.0.3.0/24")
	h.hear(listed) // of one family now
	if strings.Contains(h.ranges(), "10.0.1.0") || strings.Contains(h.list(), "::/0") || h.member.Life.Ready() != nil {
		t.Errorf("a Node with another CIDR has\n%s\n%s: %v", h.list(), h.ranges(), h.member.Life.Ready())
	}
}

// What containers have of a CIDR that is another's by now is counted, and nothing is done to them.
func TestMemberKeepsWhatRuns(t *testing.T) {
	a, h := apitest.Start(t, ""), newHost(t)
	a.Put("n1", "10.0.1.0/24")
	h.start(a)
	h.hear(listed)
	books, err := ipam.Open(context.Background(), h.places.Data, h.places.Network, true)
	if err != nil {
		t.Fatal(err)
	}
	holder := ipam.Attachment{Holder: ipam.Holder{ContainerID: "c", IfName: "eth0"}}
	if _, err := books.Allocate(0, ipam.Set{ipam.Whole(netip.MustParsePrefix("10.0.1.0/24"))}, netip.Addr{}, holder); err != nil {
		t.Fatal(err)
	}
	books.Close()
	a.Put("n1", "10.0.2.0/24")
	h.hear(`"cidrs":"[10.0.2.0/24]","strays":1`)

	// A stop changes nothing, nor does a start without an API server.
	h.stop()
	ranges, list := h.ranges(), h.list()
	a.Stop()
	h.start(a)
	h.hear("is the API server there")
	if err := h.member.Life.Ready(); err == nil || strings.Contains(err.Error(), "timeoutSeconds") || !strings.Contains(err.Error(), strings.TrimPrefix(a.URL, "http://")) {
		t.Errorf("who is not there: %v", err)
	}
	if h.ranges() != ranges || h.list() != list || ranges == "" || h.member.Life.Ready() == nil {
		t.Errorf("without an API server:\n%s\n%s", h.ranges(), h.list())
	}
	h.stop()
	if h.ranges() != ranges || h.list() != list {
		t.Errorf("after a stop:\n%s\n%s", h.ranges(), h.list())
	}
}

// The list says that there is a network: it waits for the plugins, and for the ways to others.
func TestMemberIsReadyLast(t *testing.T) {
	a, h := apitest.Start(t, ""), newHost(t)
	if err := os.Remove(filepath.Join(h.member.Network.Plugins, "portmap")); err != nil {
		t.Fatal(err)
	}
	way := make(ways, 10)
	way <- errors.New("no way yet")
	mtu := 1450
	h.member.Reach = func(context.Context, []netip.Addr) (Reach, MTU, error) {
		return way, func() (int, error) { return mtu, nil }, nil
	}
	a.Put("n1", "10.0.1.0/24")
	a.Put("n2", "10.0.2.0/24")
	h.start(a)
	h.hear("no way yet")
	if h.list() != "" || strings.Contains(h.ranges(), "subnet") {
		t.Errorf("without a way to others: %s, %s", h.list(), h.ranges())
	}
	way <- nil
	way <- nil
	h.hear("has no portmap")
	if h.list() != "" {
		t.Errorf("without a plugin: %s", h.list())
	}
	h.plugin("portmap", bundle)
	close(way)
	h.hear(listed)
	if !strings.Contains(h.list(), `"mtu": 1450`) {
		t.Errorf("the tunnel's MTU is not in %s", h.list())
	}
	mtu = 1350 // of whom the underlay is another now
	a.Put("n2", "10.0.3.0/24")
	h.hear(listed)
	if !strings.Contains(h.list(), `"mtu": 1350`) {
		t.Errorf("the tunnel's MTU is not in %s", h.list())
	}
}

// Who has host-local's name must hand out what the host has: the reference's does not know it. That is told before the list is put, and when it comes later.
func TestMemberLooksWhoServesIt(t *testing.T) {
	reference.Newest.Need(t)
	a, h := apitest.Start(t, ""), newHost(t)
	h.plugin("host-local", reference.Newest.Plugin("host-local"))
	a.Put("n1", "10.0.1.0/24")
	h.start(a)
	refused := func() {
		t.Helper()
		h.hear("host-local: does not know rangesFrom")
		if err := h.member.Life.Ready(); err == nil || !strings.Contains(err.Error(), h.member.Network.Plugins+"/host-local: does not know rangesFrom") {
			t.Errorf("%v", err)
		}
	}
	refused()
	if h.list() != "" {
		t.Errorf("the runtime has %s", h.list())
	}
	h.plugin("host-local", bundle)
	h.hear(listed)
	if err := h.member.Life.Ready(); err != nil {
		t.Error(err)
	}
	h.plugin("host-local", reference.Newest.Plugin("host-local"))
	refused()
}

// ways answers Set with what it is told.
type ways chan error

func (w ways) Set(context.Context, []Neighbour) error { return <-w }

// The younger of two Nodes with one CIDR hands out nothing, until the other is gone.
func TestMemberOverlap(t *testing.T) {
	a, h := apitest.Start(t, ""), newHost(t)
	a.Put("n0", "10.0.0.0/16")
	a.Put("n1", "10.0.1.0/24")
	h.start(a)
	h.hear("node n1: its podCIDR 10.0.1.0/24 overlaps 10.0.0.0/16 of node n0, which is older")
	if h.list() != "" || strings.Contains(h.ranges(), "subnet") {
		t.Errorf("has %s, %s", h.list(), h.ranges())
	}
	a.Remove("n0")
	h.hear(listed)
	a.Put("n3", "10.0.1.128/25")
	h.hear("overlaps 10.0.1.0/24 of node n1, which is older")
	if !strings.Contains(h.ranges(), "10.0.1.0/24") {
		t.Error("the older lost what it has")
	}
	a.Put("n3", "0.0.0.0/0")
	h.hear(`no way leads to what is in none of clusterCIDRs","cidrs":"0.0.0.0/0 of node n3"`)
	h.hear(`"msg":"well"`) // what is wrong with another's is no trouble here
}

// What somebody removes or spoils of the files by which the runtime and host-local go is there again, though no Node says anything.
func TestMemberMendsItsFiles(t *testing.T) {
	a, h := apitest.Start(t, ""), newHost(t)
	a.Put("n1", "10.0.1.0/24")
	h.start(a)
	h.hear(listed)
	ranges, list := h.ranges(), h.list()
	folder, net := filepath.Dir(h.places.Ranges), filepath.Dir(h.member.Network.Conflist)
	for _, c := range []struct {
		what  string
		spoil func() error
		said  string
	}{
		{"ranges removed", func() error { return os.Remove(h.places.Ranges) }, "containers get addresses of"},
		{"ranges torn", func() error { return os.WriteFile(h.places.Ranges, []byte(ranges[:20]), 0o600) }, "containers get addresses of"},
		{"ranges a link to nowhere", func() error {
			return errors.Join(os.Remove(h.places.Ranges), os.Symlink("/none", h.places.Ranges))
		}, "containers get addresses of"},
		{"ranges an empty folder", func() error {
			return errors.Join(os.Remove(h.places.Ranges), os.Mkdir(h.places.Ranges, 0o755))
		}, "containers get addresses of"},
		{"ranges a pipe", func() error {
			return errors.Join(os.Remove(h.places.Ranges), unix.Mkfifo(h.places.Ranges, 0o600))
		}, "containers get addresses of"},
		{"list an empty folder", func() error {
			return errors.Join(os.Remove(h.member.Network.Conflist), os.Mkdir(h.member.Network.Conflist, 0o755))
		}, listed},
		{"ranges of others", func() error {
			return os.WriteFile(h.places.Ranges, []byte(strings.ReplaceAll(ranges, "10.0.1.", "10.0.2.")), 0o600)
		}, "containers get addresses of"},
		{"their folder removed", func() error { return os.RemoveAll(folder) }, "containers get addresses of"},
		{"ranges removed from the new one", func() error { return os.Remove(h.places.Ranges) }, "containers get addresses of"},
		{"list removed", func() error { return os.Remove(h.member.Network.Conflist) }, listed},
		{"list torn", func() error { return os.WriteFile(h.member.Network.Conflist, []byte(list[:20]), 0o600) }, listed},
		{"its folder removed", func() error { return os.RemoveAll(net) }, listed},
	} {
		if err := c.spoil(); err != nil {
			t.Fatal(err)
		}
		for said := ""; h.ranges() != ranges || h.list() != list || said == ""; said = c.said { // what is taken first is given in a second step
			h.hear(c.said)
		}
	}
}

// Whatever the API server does, the next change is seen.
func TestMemberOutlivesTheAPI(t *testing.T) {
	for name, c := range map[string]struct {
		before, trouble func(*apitest.API)
	}{
		"torn":                     {nil, (*apitest.API).Tear},
		"forgotten, while watched": {nil, (*apitest.API).Expire},
		"forgotten, while torn": {nil, func(a *apitest.API) {
			a.Then(apitest.Fails(http.StatusGone, "Expired", ""))
			a.Tear()
		}},
		"forgotten, a list": {func(a *apitest.API) { a.NoStream = true }, func(a *apitest.API) {
			a.Expire()
			a.Then(apitest.Fails(http.StatusGone, "Expired", ""), apitest.Fails(http.StatusGone, "Expired", ""))
		}},
		"busy": {nil, func(a *apitest.API) {
			a.Then(apitest.Fails(http.StatusTooManyRequests, "TooManyRequests", ""), apitest.Fails(http.StatusTooManyRequests, "TooManyRequests", "0"))
			a.Tear()
		}},
		"out of order": {nil, func(a *apitest.API) {
			a.Then(apitest.Fails(http.StatusInternalServerError, "InternalError", ""), apitest.Fails(http.StatusServiceUnavailable, "ServiceUnavailable", ""))
			a.Tear()
		}},
		"busy at first":   {func(a *apitest.API) { a.Then(apitest.Fails(http.StatusTooManyRequests, "TooManyRequests", "")) }, (*apitest.API).Tear},
		"without streams": {func(a *apitest.API) { a.NoStream = true }, (*apitest.API).Expire},
		"a list that is torn": {func(a *apitest.API) {
			half := func(w http.ResponseWriter) {
				fmt.Fprint(w, `{"kind":"NodeList","metadata":{"resourceVersion":"1"},"items":[`)
			}
			a.NoStream = true
			a.Then(apitest.Fails(http.StatusUnprocessableEntity, "Invalid", ""), half, half)
		}, (*apitest.API).Tear},
		"something else answers": {func(a *apitest.API) {
			a.NoStream = true
		}, func(a *apitest.API) {
			a.Then(apitest.Says(`<html><body>Sign in</body></html>`), apitest.Says(`{}`), apitest.Says(`{"status":"ok"}`), apitest.Says(`{"kind":"Status","apiVersion":"v1","status":"Success"}`),
				apitest.Says(`{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"9"},"items":[]}`), apitest.Says(""))
			a.Expire()
		}},
		"something else answers a watch": {nil, func(a *apitest.API) {
			a.Then(apitest.Says(`<html>`), apitest.Says(`{}`), apitest.Says(`{"type":"ADDED","object":{}}`), apitest.Says(`{"type":"BOOKMARK","object":{"kind":"Node","apiVersion":"v1"}}`), apitest.Says(""))
			a.Tear()
		}},
		"in pages": {func(a *apitest.API) {
			a.NoStream, a.NoMemory = true, true
			for i := range 1200 { // of 500 each; ours is in the last
				a.Put(fmt.Sprintf("a%d", i), fmt.Sprintf("10.%d.%d.0/24", 10+i/256, i%256))
			}
		}, (*apitest.API).Expire},
		"not allowed yet": {func(a *apitest.API) {
			a.Then(apitest.Fails(http.StatusForbidden, "Forbidden", ""), apitest.Fails(http.StatusForbidden, "Forbidden", ""))
		}, (*apitest.API).Tear},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, h := apitest.Start(t, ""), newHost(t)
			a.Put("n1", "10.0.1.0/24")
			if c.before != nil {
				c.before(a)
			}
			h.start(a)
			h.hear(listed)
			const gone = "has no Node of that name"
			h.never = gone
			c.trouble(a)
			a.Put("n1", "10.0.2.0/24")
			h.hands("10.0.2.0/24")
			h.never = ""
			a.Remove("n1")
			h.hear(gone)
		})
	}
}

// An API server that takes a request, and does not answer it to its end, is asked anew; meanwhile the host says that it does not hear it, and keeps what it has.
func TestMemberOutlivesSilence(t *testing.T) {
	node := `{"kind":"Node","apiVersion":"v1","metadata":{"name":"n9","resourceVersion":"1"}}`
	for name, c := range map[string]struct {
		streams bool
		begins  string
	}{
		"a list":                   {false, ""},
		"a list, its beginning":    {false, apitest.Begun(`{"kind":"NodeList","metadata":{"resourceVersion":"1"},"items":[` + node)},
		"a stream":                 {true, ""},
		"a stream, its header":     {true, apitest.Begun("\n")},
		"a stream, not to its end": {true, apitest.Begun(`{"type":"ADDED","object":` + node + `}` + "\n")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, h := apitest.Start(t, ""), newHost(t)
			h.wait = slack.Of(50 * time.Millisecond)
			if !c.streams {
				a.NoStream = true
				a.Then(apitest.Fails(http.StatusUnprocessableEntity, "Invalid", ""))
			}
			a.Then(a.Hangs(c.begins), a.Hangs(c.begins))
			a.Put("n1", "10.0.1.0/24")
			h.start(a)
			silent := func() {
				t.Helper()
				h.hear("not a word for")
				if err := h.member.Life.Ready(); err == nil || !strings.Contains(err.Error(), a.URL+": not a word for") {
					t.Errorf("of a silent server: %v", err)
				}
			}
			silent()
			h.hear(listed)
			a.Then(a.Hangs(""), a.Hangs(c.begins))
			a.Tear()
			silent()
			if !strings.Contains(h.ranges(), "10.0.1.0/24") {
				t.Errorf("the host has lost what it had: %s", h.ranges())
			}
			a.Put("n1", "10.0.2.0/24")
			h.hands("10.0.2.0/24")
			for h.member.Life.Ready() != nil {
				h.hear("well")
			}
		})
	}
}

// A heartbeat is heard by nobody: what changes a Node and nothing that we keep wakes no one.
func TestHeartbeatsAreQuiet(t *testing.T) {
	a, h := apitest.Start(t, ""), newHost(t)
	a.Put("n1", "10.0.1.0/24")
	told := make(chan bool, 100)
	h.member.Reach = func(context.Context, []netip.Addr) (Reach, MTU, error) {
		return counted(told), WholeMTU, nil
	}
	h.start(a)
	h.hear(listed)
	for range 50 {
		a.Put("n1", "10.0.1.0/24")
	}
	a.Put("n2", "10.0.2.0/24")
	<-told
	<-told // the second is of n2
	select {
	case <-told:
		t.Error("a heartbeat was told")
	default:
	}
}

type counted chan bool

func (c counted) Set(context.Context, []Neighbour) error { c <- true; return nil }
