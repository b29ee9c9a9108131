package life

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// What is asked of it from outside is what it was told; it ends with its context.
func TestLife(t *testing.T) {
	var log bytes.Buffer
	l := New(Log(&log), "api", "list")
	listener, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan bool)
	go func() {
		l.Serve(ctx, listener)
		close(ended)
	}()
	ask := func(path string) (int, string) {
		t.Helper()
		r, err := http.Get("http://" + listener.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(text)
	}
	if code, text := ask("/readyz"); code != 503 || text != "api: not yet\nlist: not yet\n" {
		t.Errorf("at first: %d, %s", code, text)
	}
	l.Told("api", nil)
	l.Told("list", fault.New(fault.TryLater, "put it there", "plugins: one \"is\" missing"))
	l.Told("list", fault.New(fault.TryLater, "put it there", "plugins: one \"is\" missing"))
	if code, text := ask("/readyz"); code != 503 || !strings.Contains(text, "is\" missing") {
		t.Errorf("half: %d, %s", code, text)
	}
	l.Gauge(Hosts, 10000)
	_, text := ask("/metrics")
	for _, line := range []string{`trestle_node_well{part="api"} 1`, `trestle_node_well{part="list"} 0`, `trestle_node_failures_total{part="list"} 2`, "trestle_node_hosts 10000"} {
		if !strings.Contains("\n"+text, "\n"+line+"\n") {
			t.Errorf("no %s in\n%s", line, text)
		}
	}
	l.Told("list", nil)
	if code, _ := ask("/readyz"); code != 200 {
		t.Errorf("all is well: %d", code)
	}
	if code, _ := ask("/healthz"); code != 200 {
		t.Errorf("it lives: %d", code)
	}
	end()
	<-ended
	if lines := strings.Split(strings.TrimSpace(log.String()), "\n"); len(lines) != 3 {
		t.Errorf("what is said twice is logged once: %s", &log)
	}
	var line struct{ Msg, Part, Remedy string }
	if err := json.Unmarshal([]byte(strings.Split(log.String(), "\n")[1]), &line); err != nil || line.Part != "list" || line.Remedy != "put it there" {
		t.Errorf("%v, %+v", err, line)
	}
}

// Each gauge has a text, and a life that nobody wants to see takes all that it is told.
func TestMetrics(t *testing.T) {
	l := New(Log(io.Discard))
	for name := range help {
		l.Gauge(name, 1e15)
	}
	l.Told("x", errors.New("no"))
	for _, line := range strings.Split(strings.TrimSpace(l.metrics()), "\n") {
		if !strings.HasPrefix(line, "# ") && len(strings.Fields(line)) != 2 || strings.HasPrefix(line, "# HELP") && len(strings.Fields(line)) < 4 {
			t.Errorf("%q", line)
		}
	}
	var none *Life
	none.Told("x", nil)
	none.Gauge(Hosts, 1)
	none.Did("nothing")
}
