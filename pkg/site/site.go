// Package site is where a plan is carried out: the host's side and the container's side of one attachment, each opened once, and
// the packet filter between them.
package site

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/rtnl"
)

// Site holds the two ends of one attachment. It is used by one verb at a time.
type Site struct {
	Host      *Side
	Container *Side // nil when the sandbox is gone, or must not be entered

	// Filter opens the packet filter when a step first asks for it; most calls of most plugins never do.
	filter    func() (firewall.Filter, error)
	opened    firewall.Filter
	logf      func(string, ...any)
	directory string // where the locks are
}

// Options say what a site consists of.
type Options struct {
	Netns  string                          // path of the sandbox; empty: no container side
	Filter func() (firewall.Filter, error) // nil: the plugin asks for no packet filter
	Logf   func(string, ...any)            // one line for the operator; nil: silent
	Run    string                          // directory of the locks; empty: Run
}

// Run is the directory of the locks. It need not outlive a boot.
const Run = "/run/cni/trestle"

// Open opens both sides. The host's side is the network namespace of the process.
func Open(o Options) (*Site, error) {
	s := &Site{filter: o.Filter, logf: o.Logf, directory: o.Run}
	if s.directory == "" {
		s.directory = Run
	}
	host, err := open("host", -1, func(f func() error) error { return f() })
	if err != nil {
		return nil, err
	}
	s.Host = host
	if o.Netns == "" {
		return s, nil
	}
	if s.Container, err = enter(o.Netns); err != nil {
		s.Close()
		return nil, fmt.Errorf("sandbox %s: %w", o.Netns, err)
	}
	return s, nil
}

// Close closes what Open and Filter opened.
func (s *Site) Close() {
	for _, side := range []*Side{s.Host, s.Container} {
		if side != nil {
			side.close()
		}
	}
	if s.opened != nil {
		_ = s.opened.Close() // nothing was left to be said on it
	}
}

// Filter returns the host's packet filter.
func (s *Site) Filter() (firewall.Filter, error) {
	if s.opened != nil {
		return s.opened, nil
	}
	if s.filter == nil {
		return nil, errors.New("packet filter: this plugin has none")
	}
	var err error
	s.opened, err = s.filter()
	return s.opened, err
}

// Logf writes one line for the operator.
func (s *Site) Logf(format string, args ...any) {
	if s.logf != nil {
		s.logf(format, args...)
	}
}

// Side is one network namespace, opened once.
type Side struct {
	*netlink.Handle            // for what the library does in one request
	Conn            *rtnl.Conn // for the rest
	NS              int        // descriptor of the namespace; -1 for the host's side
	name            string
	do              func(func() error) error
	leave           func()
}

// Do runs f on a thread in the namespace, for what is bound to a thread: sysctls, new sockets. f must not start goroutines that rely on it.
func (s *Side) Do(f func() error) error { return s.do(f) }

// Watch subscribes to events of the namespace, as rtnl.Watch.
func (s *Side) Watch(group uint) (events *rtnl.Events, err error) {
	err = s.do(func() error {
		events, err = rtnl.Watch(group)
		return err
	})
	return events, err
}

func (s *Side) String() string { return s.name }

func (s *Side) close() {
	s.Handle.Close()
	s.Conn.Close()
	if s.leave != nil {
		s.leave()
	}
}

func open(name string, ns int, do func(func() error) error) (*Side, error) {
	s := &Side{name: name, NS: ns, do: do}
	err := do(func() (err error) {
		if s.Handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
			return err
		}
		s.Conn, err = rtnl.Open()
		return err
	})
	return s, err
}

// enter opens a side at a namespace other than the process's. A thread goes in and never comes out: one that has been in a container's
// namespace must not run anything of the host's. It ends with the side.
func enter(path string) (*Side, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	work, result := make(chan func() error), make(chan error)
	go func() {
		runtime.LockOSThread()
		result <- unix.Setns(int(file.Fd()), unix.CLONE_NEWNET)
		for f := range work {
			result <- f()
		}
	}()
	leave := func() { close(work); file.Close() }
	if err := <-result; err != nil {
		leave()
		return nil, err
	}
	side, err := open(path, int(file.Fd()), func(f func() error) error { work <- f; return <-result })
	if err != nil {
		leave()
		return nil, err
	}
	side.leave = leave
	return side, nil
}
