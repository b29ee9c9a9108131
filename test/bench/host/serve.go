package host

import (
	"context"
	"errors"
	"fmt"
	"net/rpc"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/space"
)

// patience is how long an order may take.
const patience = 10 * time.Minute

// Serve is the life of a host's process, and does not return from it. In every other process it does nothing.
func Serve() {
	if os.Getenv(marker) == "" {
		return
	}
	os.Unsetenv(marker)
	if err := errors.Join(space.Settle(), ownProc()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	server := rpc.NewServer()
	if err := server.Register(&Server{floors: make(map[int]*floor)}); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	server.ServeConn(pipe{os.Stdin, os.Stdout})
	os.Exit(0)
}

// ownProc gives the host a /proc of its own. In one /proc the settings of all network namespaces stand in one chain below /proc/sys/net, which the kernel
// walks at each look-up (fs/proc/proc_sysctl.c, proc_sys_compare): a host would be slowed by the pods of the others.
func ownProc() error {
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}

// Server is what a host's process does on order; its exported methods are remote.
type Server struct {
	pods    []string       // the paths of their namespaces
	outside string         // that of the world outside; empty: there is none yet
	floors  map[int]*floor // what is known of a pod for the kernel floor
	mu      sync.Mutex     // of floors
}

// Pods makes namespaces until there are so many.
func (s *Server) Pods(count int, _ *int) error {
	for len(s.pods) < count {
		path, err := space.Make(fmt.Sprint("pod", len(s.pods)))
		if err != nil {
			return err
		}
		s.pods = append(s.pods, path)
	}
	return nil
}

// driver makes one call for one pod.
type driver func(ctx context.Context, verb string, pod int) error

func (s *Server) driver(o Order) (driver, error) {
	switch o.Driver {
	case Floor:
		return s.onFloor, nil
	case Program:
		return start(o)
	case Inside:
		return s.inside(o)
	case Tool:
		return tool(o)
	case "":
		return s.through(o, o.Dir, outside(o))
	}
	return nil, fmt.Errorf("driver %q: unknown", o.Driver)
}

// Do carries out an order. Calls that fail are counted; the error is of an order that cannot be carried out at all.
func (s *Server) Do(o Order, out *Outcome) error {
	drive, err := s.driver(o)
	if err != nil {
		return err
	}
	if o.First+o.Count > len(s.pods) {
		return fmt.Errorf("order for pods %d to %d: there are %d", o.First, o.First+o.Count, len(s.pods))
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if o.Verb == "LEARN" {
		return s.learn(ctx, o)
	}
	crowd := &crowd{Order: o, drive: drive, outcome: out}
	cpu := childrenCPU()
	began := time.Now()
	var workers sync.WaitGroup
	for range o.Parallel {
		workers.Go(func() { crowd.work(ctx) })
	}
	workers.Wait()
	out.Wall = time.Since(began)
	out.CPU = childrenCPU() - cpu
	return countExecs(o, out)
}

// crowd is an order that several carry out at once.
type crowd struct {
	Order
	drive   driver
	next    atomic.Int64
	mu      sync.Mutex
	outcome *Outcome
}

func (c *crowd) work(ctx context.Context) {
	for {
		n := int(c.next.Add(1)) - 1
		if n >= c.Count {
			return
		}
		watch := new(stopwatch)
		verb, pod := c.Verb, c.First+n
		if verb == "MIX" { // DELs of the first half and ADDs of the second by turns
			verb, pod = [2]string{"DEL", "ADD"}[n%2], c.First+n/2+n%2*(c.Count/2)
		}
		began := time.Now()
		err := c.drive(context.WithValue(ctx, watchKey{}, watch), verb, pod)
		c.record(time.Since(began), watch.total, err)
	}
}

func (c *crowd) record(seen, within time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.outcome.Failed++
		if c.outcome.Error == "" {
			c.outcome.Error = err.Error()
		}
		return
	}
	if c.Of != "" {
		seen = within
	}
	c.outcome.Seen = append(c.outcome.Seen, seen)
	c.outcome.Within = append(c.outcome.Within, within)
}

// childrenCPU is what the processes that this one started and waited for have used, in user and system mode, with those they started.
func childrenCPU() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// countExecs reads and removes what the traced programs left.
func countExecs(o Order, out *Outcome) error {
	if !o.Trace {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(traces, "*"))
	if err != nil {
		return err
	}
	for _, file := range files {
		count, err := execsIn(file)
		if err != nil {
			return err
		}
		out.Execs += count
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return nil
}
