// Package life is how others see whether the agent lives and what it has come to: its log, /healthz, /readyz and /metrics.
package life

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// Life is what there is to see. Its nil value sees nothing.
type Life struct {
	log    *slog.Logger
	mutex  sync.Mutex
	parts  map[string]*part
	gauges map[string]float64
}

// part is something that must be well for the host to be ready.
type part struct {
	err      error
	failures uint64
}

var errNotYet = errors.New("not yet")

// New is a life in which none of the parts is well yet. What is said of them is logged there.
func New(log *slog.Logger, parts ...string) *Life {
	l := &Life{log: log, parts: make(map[string]*part), gauges: make(map[string]float64)}
	for _, name := range parts {
		l.parts[name] = &part{err: errNotYet}
	}
	return l
}

// Log makes the log of an agent: a line of JSON for each event.
func Log(out io.Writer) *slog.Logger { return slog.New(slog.NewJSONHandler(out, nil)) }

// Told notes how a part is. A line is logged when it becomes well, or is not well for another reason than before.
func (l *Life) Told(name string, err error) {
	if l == nil {
		return
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	p := l.parts[name]
	if p == nil {
		p = &part{}
		l.parts[name] = p
	}
	was := p.err
	p.err = err
	switch {
	case err == nil && was != nil:
		l.log.Info("well", "part", name)
	case err != nil:
		p.failures++
		if was == nil || was.Error() != err.Error() {
			l.log.Warn(err.Error(), "part", name, "remedy", fault.Hint(err))
		}
	}
}

// Failed notes that something went wrong which is tried again, and without which the host is as ready as before.
func (l *Life) Failed(name string, err error) {
	if l != nil && err != nil {
		l.Told(name, err)
		l.mutex.Lock()
		defer l.mutex.Unlock()
		l.parts[name].err = nil
	}
}

// Logger is where it logs.
func (l *Life) Logger() *slog.Logger { return l.log }

// Sayf logs what somebody says in words.
func (l *Life) Sayf(format string, args ...any) { l.Did(fmt.Sprintf(format, args...)) }

// Did logs what was done; args are keys and values by turns.
func (l *Life) Did(what string, args ...any) {
	if l != nil {
		l.log.Info(what, args...)
	}
}

// Gauge notes a number.
func (l *Life) Gauge(name string, value float64) {
	if l == nil {
		return
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.gauges[name] = value
}

// Ready is nil when every part is well, and has the reasons otherwise.
func (l *Life) Ready() error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(l.parts)) {
		if err := l.parts[name].err; err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// Listen begins to answer at the address; Serve goes on with it.
func Listen(address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fault.New(fault.Config, "choose an address that is free on this host (key listen)", "listen: %w", err)
	}
	return listener, nil
}

// Serve answers until ctx ends.
func (l *Life) Serve(ctx context.Context, listener net.Listener) {
	server := &http.Server{Handler: l.handler(), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(l.log.Handler(), slog.LevelWarn)}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	_ = server.Serve(listener) // it ends by Close alone
}

func (l *Life) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := l.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = io.WriteString(w, l.metrics())
	})
	return mux
}

// metrics is Prometheus' text format, version 0.0.4.
func (l *Life) metrics() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	var text strings.Builder
	text.WriteString("# HELP trestle_node_well Whether this part of the agent is well.\n# TYPE trestle_node_well gauge\n")
	names := slices.Sorted(maps.Keys(l.parts))
	for _, name := range names {
		well := 0
		if l.parts[name].err == nil {
			well = 1
		}
		fmt.Fprintf(&text, "trestle_node_well{part=%q} %d\n", name, well)
	}
	text.WriteString("# HELP trestle_node_failures_total How often this part failed.\n# TYPE trestle_node_failures_total counter\n")
	for _, name := range names {
		fmt.Fprintf(&text, "trestle_node_failures_total{part=%q} %d\n", name, l.parts[name].failures)
	}
	for _, name := range slices.Sorted(maps.Keys(l.gauges)) {
		fmt.Fprintf(&text, "# HELP %s %s\n# TYPE %s gauge\n%s %g\n", name, help[name], name, name, l.gauges[name])
	}
	return text.String()
}

// Names of gauges.
const (
	Hosts  = "trestle_node_hosts"
	Blocks = "trestle_node_blocks"
	Strays = "trestle_node_stray_addresses"
)

var help = map[string]string{
	Hosts:  "Hosts that share the pool, as far as this one follows them.",
	Blocks: "Blocks of this host out of which containers get addresses.",
	Strays: "Addresses reserved on this host that are in none of its blocks.",
}
