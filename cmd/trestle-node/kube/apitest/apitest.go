// Package apitest is an API server for tests: it has Nodes and nothing else, and does what a real one does seldom.
package apitest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// API is such a server.
type API struct {
	*httptest.Server
	NoStream bool // as before Kubernetes 1.34: no list as a stream
	NoMemory bool // as one that asks etcd each time: a list comes in pages

	mutex   sync.Mutex
	version int
	oldest  int // what came before is forgotten
	nodes   map[string]map[string]any
	events  []event
	watches map[chan event]bool
	trouble []func(http.ResponseWriter) // of the next requests
	held    []net.Conn                  // that are answered no more
	asked   []string
}

type event struct {
	version int
	Type    string         `json:"type"`
	Object  map[string]any `json:"object"`
	torn    bool
}

// Start begins one, at the address or at one of its own.
func Start(t testing.TB, address string) *API {
	t.Helper()
	a := &API{version: 100, nodes: make(map[string]map[string]any), watches: make(map[chan event]bool)}
	a.Server = httptest.NewUnstartedServer(a)
	if address != "" {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		a.Listener.Close()
		a.Listener = listener
	}
	a.Server.Start()
	t.Cleanup(a.Stop)
	return a
}

// Stop ends it, and breaks off what it was asked.
func (a *API) Stop() {
	a.Listener.Close() // or those who are broken off come again
	a.CloseClientConnections()
	a.Close()
	for _, conn := range a.held {
		conn.Close()
	}
}

// Kubeconfig leads to it.
func (a *API) Kubeconfig() string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","clusters":[{"name":"c","cluster":{"server":%q}}],"contexts":[{"name":"c","context":{"cluster":"c"}}],"current-context":"c"}`, a.URL)
}

// Put makes or changes a Node; its CIDRs are words, and its addresses, of which there is one unless it is told. What is no business of ours is there, too.
func (a *API) Put(name, cidrs string, via ...string) {
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
	if len(via) == 0 {
		via = []string{"192.0.2.1"}
	}
	addresses := []any{map[string]any{"type": "Hostname", "address": name}}
	for _, addr := range via {
		addresses = append(addresses, map[string]any{"type": "InternalIP", "address": addr})
	}
	status := map[string]any{"addresses": addresses}
	if was, there := n["status"].(map[string]any); there && was["nodeInfo"] != nil {
		status["nodeInfo"] = was["nodeInfo"]
	}
	n["status"] = status
	a.nodes[name] = n
	a.tell(kind, n)
}

// Report says which machine a Node is, as its kubelet does.
func (a *API) Report(name, boot, uuid string) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	n := a.nodes[name]
	n["status"].(map[string]any)["nodeInfo"] = map[string]any{"bootID": boot, "systemUUID": uuid, "machineID": "m", "kernelVersion": "6.1"}
	a.tell("MODIFIED", n)
}

// Remove deletes a Node.
func (a *API) Remove(name string) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	n := a.nodes[name]
	delete(a.nodes, name)
	a.tell("DELETED", n)
}

// tell sends a copy to all who watch. The caller has the lock.
func (a *API) tell(kind string, n map[string]any) {
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

// Expire forgets all versions, as a compaction does, and says so to who watches.
func (a *API) Expire() {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.version++
	a.oldest = a.version
	for w := range a.watches {
		w <- event{Type: "ERROR", Object: status(http.StatusGone, "Expired")}
	}
}

// Tear breaks off every watch in the middle of an event.
func (a *API) Tear() {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	for w := range a.watches {
		w <- event{torn: true}
	}
}

// ServeHTTP answers a request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	q := r.URL.Query()
	a.asked = append(a.asked, r.URL.RawQuery)
	since, _ := strconv.Atoi(q.Get("resourceVersion"))
	var trouble func(http.ResponseWriter)
	switch {
	case r.Method != http.MethodGet || r.URL.Path != "/api/v1/nodes":
		trouble = Fails(http.StatusForbidden, "Forbidden", "")
	case len(a.trouble) > 0:
		trouble, a.trouble = a.trouble[0], a.trouble[1:]
	case q.Get("sendInitialEvents") != "" && a.NoStream:
		trouble = Fails(http.StatusUnprocessableEntity, "Invalid", "")
	case q.Get("sendInitialEvents") == "" && since > 0 && since < a.oldest:
		trouble = Fails(http.StatusGone, "Expired", "")
	}
	w.Header().Set("Content-Type", "application/json")
	switch {
	case trouble != nil:
		trouble(w)
	case q.Get("watch") == "":
		_ = json.NewEncoder(w).Encode(a.list(q))
	default:
		a.watch(w, r, since, q.Get("sendInitialEvents") != "")
	}
}

// list is a page where one is asked for and the server makes pages, else all.
func (a *API) list(q url.Values) map[string]any {
	names := slices.Sorted(maps.Keys(a.nodes))
	first, _ := slices.BinarySearch(names, q.Get("continue"))
	meta, names := map[string]any{"resourceVersion": strconv.Itoa(a.version)}, names[first:]
	if limit, _ := strconv.Atoi(q.Get("limit")); a.NoMemory && limit > 0 && limit < len(names) {
		meta["continue"], names = names[limit], names[:limit]
	}
	items := []any{}
	for _, name := range names {
		items = append(items, a.nodes[name])
	}
	return map[string]any{"kind": "NodeList", "apiVersion": "v1", "metadata": meta, "items": items}
}

// watch is called and returns with the lock.
func (a *API) watch(w http.ResponseWriter, r *http.Request, since int, whole bool) {
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

// Asked are the queries that had this in them.
func (a *API) Asked(text string) (n int) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return len(slices.DeleteFunc(slices.Clone(a.asked), func(q string) bool { return !strings.Contains(q, text) }))
}

// Fatten gives each Node what a real one has: labels, conditions, fifty images, who manages which field.
func (a *API) Fatten() {
	var images, fields []any
	for i := range 50 {
		images = append(images, map[string]any{"names": []any{fmt.Sprintf("registry.example.com/team/image-%d@sha256:%064d", i, i)}, "sizeBytes": 123456789})
		fields = append(fields, map[string]any{"manager": "kubelet", "operation": "Update"})
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	for _, n := range a.nodes {
		n["status"].(map[string]any)["images"] = images
		n["metadata"].(map[string]any)["managedFields"] = fields
	}
	a.events = nil
}
