// Package site is where a plan is carried out: the host's side and the container's side of one attachment, each opened once, and
// the packet filter between them.
package site

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/netns"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
)

// Site holds the two ends of one attachment. It is used by one verb at a time.
type Site struct {
	Host      *Side
	Container *Side // nil when the sandbox is gone, or must not be entered
	First     bool  // no earlier entry of the list is of the same plugin, as a repair knows

	// Filter opens the packet filter when a step first asks for it; most calls of most plugins never do.
	filter    func() (firewall.Filter, error)
	opened    firewall.Filter
	left      firewall.Left
	logf      func(string, ...any)
	directory string // where the locks are
	sys       sysctls
}

// Options say what a site consists of.
type Options struct {
	Netns  string                          // path of the sandbox; empty: no container side
	Opened int                             // the sandbox's descriptor, where the caller has opened it: then the path is its name alone
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
	var err error
	if s.Host, err = openHost(&s.sys); err != nil {
		return nil, err
	}
	if o.Netns == "" {
		return s, nil
	}
	if s.Container, err = openContainer(o, &s.sys); err != nil {
		s.Host.close()
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
	s.sys.close()
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
	s.settle()
	if f, can := s.opened.(firewall.Leaver); can && s.left != nil {
		f.Leave(s.left)
	}
	return s.opened, err
}

// Leave has the packet filter leave things as they are. It is said before that is opened.
func (s *Site) Leave(left firewall.Left) { s.left = left }

// settle tells a packet filter that minds it that what an owner has is there by now: the site is opened, or a lock was taken.
func (s *Site) settle() {
	if f, minds := s.opened.(interface{ Forget() }); minds {
		f.Forget()
	}
}

// Logf writes one line for the operator.
func (s *Site) Logf(format string, args ...any) {
	if s.logf != nil {
		s.logf(format, args...)
	}
}

// Side is one network namespace, opened once.
type Side struct {
	Conn   *rtnl.Conn
	NS     int // descriptor of the namespace; -1 for the host's side
	name   string
	handle *netlink.Handle // opened at first use
	home   int             // descriptor of the host's namespace, to which the thread returns; unused on the host's side
	sys    *sysctls        // the site's

	links   map[string]netlink.Link // read since the last change
	changes int                     // of links, by Conn, until then
}

// Do runs f on a thread in the namespace, for what is bound to a thread: sysctls, new sockets. f must not start goroutines that rely on it.
func (s *Side) Do(f func() error) error {
	if s.NS < 0 {
		return f()
	}
	return s.enter(func() error {
		if err := s.Conn.Open(); err != nil { // not within f, which would find itself at home afterwards
			return err
		}
		return f()
	})
}

func (s *Side) enter(f func() error) error { return netns.Do(s.NS, s.home, f) }

// Watch subscribes to events of the namespace, as rtnl.Watch.
func (s *Side) Watch(group uint) (events *rtnl.Events, err error) {
	err = s.Do(func() error {
		events, err = rtnl.Watch(group)
		return err
	})
	return events, err
}

// LinkByName returns one link as it was when this side last changed a link, took a lock or was told to Forget; what was not read since then is read
// now. So all that is looked at before a change is seen in one state, and read once. The error is ENODEV where there is none.
func (s *Side) LinkByName(name string) (netlink.Link, error) {
	if link, known := s.read()[name]; known && link == nil {
		return nil, unix.ENODEV
	} else if known {
		return link, nil
	}
	link, err := s.Conn.LinkByName(name)
	if err == nil {
		s.links[name] = link
	}
	return link, err
}

// LinksByName reads those of the links that there are, by one request, and of all of them LinkByName knows from then on.
func (s *Side) LinksByName(names ...string) ([]netlink.Link, error) {
	list, err := s.Conn.LinksByName(names...)
	if err != nil {
		return nil, err
	}
	known := s.read()
	for _, name := range names {
		known[name] = nil
	}
	for _, link := range list {
		known[link.Attrs().Name] = link
	}
	return list, nil
}

// read are the links that were read since the last change; without one: there is none of that name.
func (s *Side) read() map[string]netlink.Link {
	if changes := s.Conn.LinkChanges(); s.links == nil || changes != s.changes {
		s.links, s.changes = make(map[string]netlink.Link), changes
	}
	return s.links
}

// Forget makes LinkByName read again: for whoever waits for what others change.
func (s *Side) Forget() { s.links = nil }

// Forget has both sides, and the packet filter, read again: others may have changed what is there.
func (s *Site) Forget() {
	for _, side := range []*Side{s.Host, s.Container} {
		if side != nil {
			side.Forget()
		}
	}
	s.settle()
}

// LinkByIndex reads one link. The error is ENODEV where there is none.
func (s *Side) LinkByIndex(index int) (netlink.Link, error) { return s.Conn.LinkByIndex(index) }

// Handle is the library's, for the rarer requests, changes among them. Its socket is opened at the first call.
func (s *Side) Handle() (*netlink.Handle, error) {
	s.Forget()
	if s.handle != nil {
		return s.handle, nil
	}
	err := s.Do(func() (err error) {
		s.handle, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	return s.handle, err
}

func (s *Side) String() string { return s.name }

func (s *Side) close() {
	if s.handle != nil {
		s.handle.Close()
	}
	if s.Conn != nil {
		s.Conn.Close()
	}
	if s.NS >= 0 {
		unix.Close(s.NS)
		unix.Close(s.home)
	}
}

func openHost(sys *sysctls) (*Side, error) {
	conn, err := rtnl.Open()
	return &Side{Conn: conn, NS: -1, name: "host", sys: sys}, err
}

// openContainer opens a side at a namespace other than the process's. Who has opened it has looked whether it is one, and often nothing is asked there
// then: most plugins of a list work on the host alone.
func openContainer(o Options, sys *sysctls) (*Side, error) {
	ns, err := unix.FcntlInt(uintptr(o.Opened), unix.F_DUPFD_CLOEXEC, 0)
	if o.Opened <= 0 {
		ns, err = unix.Open(o.Netns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, err
	}
	home, err := netns.Home()
	if err != nil {
		unix.Close(ns)
		return nil, err
	}
	s := &Side{NS: ns, name: o.Netns, home: home, sys: sys}
	s.Conn = rtnl.Later(func(open func() error) error {
		if err := s.enter(open); err != nil {
			return fmt.Errorf("sandbox %s: %w", s, err)
		}
		return nil
	})
	if o.Opened <= 0 {
		err = s.Do(func() error { return nil })
	}
	if err != nil {
		s.close()
	}
	return s, err
}
