package observe

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/order"
)

// reader is one read.
type reader struct {
	*directory
	options Options
	host    *Host
	own     *os.File // the host's own namespace
	results []cache.Entry
	hidden  hidden

	mu   sync.Mutex // guards what the visitors share: the following, and host.Problems
	ends map[*Link]end
	done int
}

// Read reads the host that the process is on: the network namespace that it is in, and all that are found from there. What cannot be read is
// among the problems; the error is that not even the own namespace could be, or that ctx ended.
func Read(ctx context.Context, o Options) (*Host, error) {
	if o.Netns == nil {
		o.Netns = Directories()
	}
	if o.Results == "" {
		o.Results = cache.Dir
	}
	if o.Configs == "" {
		o.Configs = Configs()
	}
	r := &reader{options: o, host: &Host{}, ends: make(map[*Link]end)}
	entries, err := cache.Read(o.Results)
	if err != nil {
		r.problem(Results, err, "as root, look at the files; a torn one is removed by the DEL of its container")
		r.hidden.results = true
	}
	r.results = entries
	var remembered []string
	for _, e := range entries {
		remembered = append(remembered, e.Netns)
	}
	r.directory = find(o, remembered)
	r.host.Namespaces = r.list()
	if len(r.host.Namespaces) == 0 || !r.host.Namespaces[0].Host {
		return nil, fault.New(fault.Internal, "is /proc mounted?", "own network namespace: not found")
	}
	if r.own, err = os.Open("/proc/thread-self/ns/net"); err == nil {
		defer r.own.Close()
	}
	r.visit(ctx, r.host.Namespaces)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.joinPairs(r.host.Namespaces)
	r.readReservations()
	r.attach(ctx)
	r.readNetworks()
	order.By(r.host.Problems, func(a, b Problem) int { return strings.Compare(a.Object, b.Object) })
	return r.host, nil
}

// problem notes what could not be read; each of joined errors is one.
func (r *reader) problem(object string, err error, remedy string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	for _, e := range list {
		r.host.Problems = append(r.host.Problems, Problem{object, e.Error(), remedy, errors.As(e, new(*fs.PathError))})
	}
}
