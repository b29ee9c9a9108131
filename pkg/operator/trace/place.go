// Package trace tells what the kernel does with a packet on its way from one network namespace to another: at each step it asks the kernel
// itself (routes, addresses, neighbours, sysctls), and judges the rules that the packet meets with package ruleset.
package trace

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/netns"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/operator/budget"
	"github.com/trestle-cni/trestle/pkg/operator/known"
	"github.com/trestle-cni/trestle/pkg/operator/ruleset"
	"github.com/trestle-cni/trestle/pkg/order"
)

// Place is one network namespace, entered. What is read is read once.
type Place struct {
	Name string // as operators know it: host, or the name of the namespace
	Path string // of the namespace; empty for the host's

	*entry
	links   map[int]*link
	rules   *ruleset.Ruleset
	numbers map[*Place]int // of other places, as this one knows them (RTM_GETNSID); -1: none
}

// link is an interface of a place.
type link struct {
	netlink.LinkAttrs
	kind  string // veth, bridge, ...; empty for a device
	addrs []rtnl.Addr
	port  *rtnl.BridgePort // nil unless it is the port of a bridge
	tag   int              // of a VLAN's link
	hears neighbours       // of one that hangs on a parent
}

func (l *link) up() bool { return l.RawFlags&unix.IFF_UP != 0 }

func (l *link) loopback() bool { return l.RawFlags&unix.IFF_LOOPBACK != 0 }

func (l *link) ruleset() ruleset.Link {
	if l == nil {
		return ruleset.Link{}
	}
	hardware := uint16(unix.ARPHRD_ETHER)
	if l.loopback() {
		hardware = unix.ARPHRD_LOOPBACK
	}
	return ruleset.Link{Name: l.Name, Index: l.Index, Type: hardware}
}

// read reads the links and the ruleset: of the host's namespace all, of others what one may have.
func (p *Place) read(ctx context.Context) error {
	err := p.do(func() error {
		var left *budget.Budget
		if p.Path != "" {
			left = budget.New()
		}
		if err := p.readLinks(left); err != nil {
			return err
		}
		rules, err := ruleset.Read(ctx, left)
		if errors.Is(err, unix.EPERM) { // judged as unknown, and the rest is told
			rules, err = &ruleset.Ruleset{Gaps: []string{err.Error()}}, nil
		}
		if p.rules = rules; err != nil {
			err = fmt.Errorf("rules: %w", err)
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("%s: %w", p.Name, err)
	}
	return err
}

func (p *Place) readLinks(left *budget.Budget) error {
	p.conn.Bound(left.Spend)
	list, err := p.conn.Links()
	if err != nil {
		return fmt.Errorf("links: %w", err)
	}
	addrs, err := p.conn.AllAddrs()
	if err != nil {
		return fmt.Errorf("addresses: %w", err)
	}
	p.conn.Bound(nil) // what is asked from here on is a question each
	p.links = make(map[int]*link)
	for _, l := range list {
		own := &link{LinkAttrs: *l.Attrs(), kind: l.Type(), addrs: addrs[l.Attrs().Index], port: l.Port}
		own.stack(l.Link)
		p.links[own.Index] = own
	}
	return nil
}

// link returns the link of the name, nil for none.
func (p *Place) link(name string) *link {
	for _, l := range p.links {
		if l.Name == name {
			return l
		}
	}
	return nil
}

// holder returns the link that has the address, nil for none.
func (p *Place) holder(a netip.Addr) *link {
	for _, l := range p.links {
		if slices.ContainsFunc(l.addrs, func(other rtnl.Addr) bool { return other.Addr() == a }) {
			return l
		}
	}
	return nil
}

// ports returns the ports of a bridge by index.
func (p *Place) ports(bridge *link) (list []*link) {
	for _, l := range p.links {
		if l.MasterIndex == bridge.Index && l.port != nil {
			list = append(list, l)
		}
	}
	order.By(list, func(a, b *link) int { return a.Index - b.Index })
	return list
}

// addresses are the global addresses of the family, those of links with a peer or a device before those of bridges.
func (p *Place) addresses(is4 bool) (list []netip.Addr) {
	indexes := make([]int, 0, len(p.links))
	for index := range p.links {
		indexes = append(indexes, index)
	}
	order.By(indexes, func(a, b int) int {
		if x, y := p.links[a].kind == known.KindBridge, p.links[b].kind == known.KindBridge; x != y {
			return map[bool]int{true: 1, false: -1}[x]
		}
		return a - b
	})
	for _, index := range indexes {
		for _, a := range p.links[index].addrs {
			if a.Addr().Is4() == is4 && !a.Addr().IsLoopback() && !a.Addr().IsLinkLocalUnicast() {
				list = append(list, a.Addr())
			}
		}
	}
	return list
}

// Town is all places that a packet may come through.
type Town struct {
	Places []*Place
	Closed []string // namespaces that could not be entered, and why
	// Promises are what is known of attachments beside what is there.
	Promises []Promise
}

// Open enters the host's namespace and those that have a name below dirs or a process below /proc. Those that cannot be entered are left,
// and listed.
func Open(ctx context.Context, dirs ...string) (*Town, error) {
	t := &Town{}
	// Of the calling thread: the process's first thread may have entered another namespace.
	const here = "/proc/thread-self/ns/net"
	own := netns.Number(here)
	host, err := enter(here, own, true)
	if err != nil {
		return nil, err
	}
	t.Places = []*Place{{Name: "host", entry: host}}
	seen := map[uint64]bool{own: true}
	var paths []string
	for _, dir := range append(dirs, "/proc") {
		pattern := dir + "/*"
		if dir == "/proc" {
			pattern = "/proc/[0-9]*/ns/net"
		}
		found, _ := filepath.Glob(pattern)
		paths = append(paths, found...)
	}
	for _, path := range paths {
		if number := netns.Number(path); number != 0 && !seen[number] {
			seen[number] = true
			t.enter(path, number)
		}
	}
	return t, t.read(ctx)
}

// read reads all places. One that ended meanwhile, or that has more in it than it may have, is as one that cannot be entered.
func (t *Town) read(ctx context.Context) error {
	if err := t.Host().read(ctx); err != nil {
		t.Close()
		return err
	}
	t.Places = slices.DeleteFunc(t.Places, func(p *Place) bool {
		if p == t.Places[0] {
			return false
		}
		err := p.read(ctx)
		if err != nil {
			t.Closed = append(t.Closed, fmt.Sprintf("%s: %v", p.Path, err))
			p.close()
		}
		return err != nil
	})
	return ctx.Err()
}

func (t *Town) enter(path string, number uint64) {
	way, err := enter(path, number, false)
	if err != nil {
		t.Closed = append(t.Closed, fmt.Sprintf("%s: %v", path, err))
		return
	}
	name := filepath.Base(path)
	if pid, ok := strings.CutPrefix(path, "/proc/"); ok {
		name = "pid " + strings.TrimSuffix(pid, "/ns/net")
	}
	t.Places = append(t.Places, &Place{Name: name, Path: path, entry: way})
}

// Close leaves all places.
func (t *Town) Close() {
	for _, p := range t.Places {
		p.close()
	}
}

// Host is the namespace of the process.
func (t *Town) Host() *Place { return t.Places[0] }

// peer returns the other end of a pair.
func (t *Town) peer(p *Place, l *link) (*Place, *link) {
	if l.ParentIndex == 0 {
		return nil, nil
	}
	for _, other := range t.Places {
		if (l.NetNsID < 0) != (other == p) || l.NetNsID >= 0 && p.number(other) != l.NetNsID {
			continue
		}
		if end := other.links[l.ParentIndex]; end != nil && end.ParentIndex == l.Index {
			return other, end
		}
	}
	return nil, nil
}

// number is what p calls the other place.
func (p *Place) number(other *Place) int {
	if n, known := p.numbers[other]; known {
		return n
	}
	n, err := p.GetNetNsIdByFd(int(other.file.Fd()))
	if err != nil {
		n = -1
	}
	if p.numbers == nil {
		p.numbers = make(map[*Place]int)
	}
	p.numbers[other] = n
	return n
}
