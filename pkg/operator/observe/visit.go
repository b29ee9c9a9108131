package observe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/netns"
	"github.com/trestle-cni/trestle/pkg/kernel/procfile"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/operator/budget"
	"github.com/trestle-cni/trestle/pkg/operator/ruleset"
)

// visitors is how many threads go through the namespaces. Nearly all of their time is the kernel's.
const visitors = 4

// visit reads every namespace of the list.
func (r *reader) visit(ctx context.Context, list []*Namespace) {
	var next atomic.Int64 // the host's own comes first, below
	var all sync.WaitGroup
	for range visitors {
		all.Add(1)
		go func() {
			defer all.Done()
			// The thread ends with this: one that has been in a container must not run anything of the host's.
			runtime.LockOSThread()
			for i := next.Add(1); int(i) < len(list) && ctx.Err() == nil; i = next.Add(1) {
				r.read(ctx, list[i])
				r.progress(len(list))
			}
		}()
	}
	r.onOwnThread(func() { r.read(ctx, list[0]) }) // in the namespace of the process; no right is needed
	all.Wait()
}

// onOwnThread runs f on one thread, which stays in its namespace.
func (r *reader) onOwnThread(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f()
}

func (r *reader) progress(total int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done++
	if r.options.Progress != nil {
		r.options.Progress(r.done, total)
	}
}

// read goes into the namespace and reads all of it. One that cannot be entered, or dies meanwhile, or has more in it than it may have, says so.
func (r *reader) read(ctx context.Context, n *Namespace) {
	if err := r.enter(n); err != nil {
		n.Closed = reason(err)
		return
	}
	var left *budget.Budget // the host's own is read whole
	if !n.Host {
		left = budget.New()
	}
	err := r.readAll(ctx, n, left)
	switch {
	case errors.Is(err, budget.ErrOver):
		r.close(n, err)
	case err != nil:
		r.problem(n.Name, err, "read again; it may have ended meanwhile")
	}
}

// close forgets what of a namespace was read, since half of it would be taken for all.
func (r *reader) close(n *Namespace, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range n.Links {
		delete(r.ends, l)
	}
	*n = Namespace{ID: n.ID, Name: n.Name, Inode: n.Inode, Host: n.Host, Paths: n.Paths, Processes: n.Processes, Closed: err.Error(), found: n.found}
}

func reason(err error) string {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return "not permitted: only root may enter it"
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ESRCH):
		return "it ended while the host was read"
	}
	return err.Error()
}

// enter goes in with the calling thread.
func (r *reader) enter(n *Namespace) error {
	if n.Host {
		return nil
	}
	file, err := n.Open()
	if err != nil {
		return err
	}
	defer file.Close()
	return unix.Setns(int(file.Fd()), unix.CLONE_NEWNET)
}

// Open opens the namespace by the first of the paths that lead to it still.
func (n *Namespace) Open() (file *os.File, err error) {
	paths := slices.Concat([]string{n.found}, n.Paths)
	for _, p := range n.Processes {
		paths = append(paths, fmt.Sprintf("/proc/%d/ns/net", p.PID))
	}
	for _, path := range paths {
		if file, err = netns.Open(path, n.Inode); err == nil {
			return file, nil
		}
	}
	return nil, err
}

func (r *reader) readAll(ctx context.Context, n *Namespace, left *budget.Budget) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	conn, err := rtnl.Open()
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.Bound(left.Spend)
	links, err := conn.Links()
	if err != nil {
		return fmt.Errorf("links: %w", err)
	}
	r.takeLinks(n, links, r.hostNumber(n, h))
	for _, read := range []func() error{
		func() error { return readAddresses(n, conn) },
		func() error { return readRoutes(n, h, left) },
		func() error { return readRules(n, conn) },
		func() error { return readNeighbours(n, conn) },
	} {
		one := read()
		if errors.Is(one, budget.ErrOver) {
			return one
		}
		err = errors.Join(err, one)
	}
	readSysctls(n, links)
	err = errors.Join(err, readAdvertised(n, conn))
	filter, unread := ruleset.Read(ctx, left)
	if unread != nil {
		r.problem("packet filter of "+n.Name, unread, "read it as root")
	}
	n.Filter = filter
	return err
}

// sysctls are the keys of a whole namespace that decide whether packets get through.
var sysctls = [...]string{"ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv6/conf/all/disable_ipv6", "ipv4/conf/all/rp_filter",
	"bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables"}

// readSysctls reads those that exist. Those of links came with them: to open a file for each would take most of the time of a read. Of the ports
// of a host's bridges none is told: what is decided for them is decided by their bridge.
func readSysctls(n *Namespace, links []rtnl.LinkData) {
	n.Sysctls, n.Conntrack = make(map[string]string), -1
	dir, err := procfile.Settings() // in the shared one, to look at each of a thousand namespaces would be to look at each a thousand times
	if err == nil {                 // else nothing below it is there to be read
		defer unix.Close(dir)
	}
	for _, key := range sysctls {
		readSysctl(n, dir, key)
	}
	for _, l := range links {
		if n.Host && l.Attrs().MasterIndex != 0 {
			continue
		}
		for key, value := range l.Settings() {
			family, name, _ := strings.Cut(key, "/")
			n.Sysctls[family+"/conf/"+l.Attrs().Name+"/"+name] = strconv.Itoa(value)
		}
	}
	if text, err := procfile.ReadIn(dir, "net/netfilter/nf_conntrack_count"); err == nil {
		if count, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			n.Conntrack = count
		}
	}
}

func readSysctl(n *Namespace, dir int, key string) {
	text, err := procfile.ReadIn(dir, "net/"+key)
	if err == nil {
		n.Sysctls[key] = strings.TrimSpace(string(text))
	}
}
