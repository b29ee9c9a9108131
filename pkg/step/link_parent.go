package step

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"net"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Parent is the link that others hang on.
type Parent struct {
	Name   string // empty: the one by which the first default route leads
	Inside bool   // in the container's namespace, not the host's
}

// side is where it is; nil where that is not to be entered.
func (p Parent) side(s *site.Site) *site.Side {
	if p.Inside {
		return s.Container
	}
	return s.Host
}

// find returns the link, or an error that says which could be meant.
func (p Parent) find(s *site.Site) (netlink.Link, error) {
	side := p.side(s)
	link, err := p.look(side)
	if err != nil {
		return nil, err
	}
	switch {
	case link == nil && p.Name == "":
		return nil, p.wrong(side, "not named, and no default route leads anywhere on the %s", where(side))
	case link == nil:
		return nil, p.wrong(side, "link %s: not found on the %s", p.Name, where(side))
	case !ethernet(link):
		return nil, p.wrong(side, "link %s: a %s, which is no Ethernet", link.Attrs().Name, cmp.Or(link.Attrs().EncapType, link.Type()))
	}
	return link, nil
}

func (p Parent) look(side *site.Side) (netlink.Link, error) {
	if p.Name != "" {
		return find(side, p.Name)
	}
	links, err := side.Conn.DefaultLinks()
	if err != nil || len(links) == 0 {
		return nil, err
	}
	return side.LinkByIndex(links[0])
}

func ethernet(link netlink.Link) bool {
	return link.Attrs().EncapType == "ether" && link.Attrs().Flags&net.FlagLoopback == 0
}

// wrong says what is wrong with it, and which links could be meant.
func (p Parent) wrong(side *site.Side, format string, args ...any) error {
	hint := "name a link as master"
	if names := candidates(side); len(names) > 0 {
		hint = "master may be " + strings.Join(names, ", ")
	}
	return fault.New(fault.Config, hint, "master: "+format, args...)
}

// mostCandidates is as many as a person reads.
const mostCandidates = 8

// candidates are the links that others may hang on: Ethernet that is nobody's port, nor anything of ours, nor hangs on another itself.
func candidates(side *site.Side) (names []string) {
	links, err := side.LinkList()
	if err != nil {
		return nil
	}
	for _, link := range links {
		a := link.Attrs()
		_, ours := owner.Parse(a.Alias)
		kind := link.Type()
		if ethernet(link) && a.MasterIndex == 0 && !ours && !slices.Contains([]string{"macvlan", "ipvlan", "ifb", "tuntap"}, kind) && len(names) < mostCandidates {
			names = append(names, a.Name)
		}
	}
	return names
}

// verify looks whether the link hangs on it, by whichever of its names it is called. What hangs on the one that was the default route's at the time of the ADD, does: no link changes
// its parent.
func (p Parent) verify(s *site.Site, link netlink.Link) error {
	side := p.side(s)
	if p.Name == "" || side == nil {
		return nil
	}
	named, err := find(side, p.Name)
	if err != nil {
		return err
	}
	a := link.Attrs()
	here := a.NetNsID < 0
	switch {
	case named != nil && handsOn(named, link) && named.Attrs().ParentIndex == a.ParentIndex, named != nil && here == p.Inside && named.Attrs().Index == a.ParentIndex:
		return nil
	case here != p.Inside:
		return drift("parent of "+a.Name, fmt.Sprintf("%s on the %s", p.Name, where(side)), "one in another namespace")
	}
	found, err := side.LinkByIndex(a.ParentIndex)
	if err != nil && !absentLink(err) {
		return err
	}
	return drift("parent of "+a.Name, p.Name, nameOf(found, err))
}

// handsOn says whether the kernel hangs the link on the parent of the named one, which hangs there itself, and not on that.
func handsOn(named, link netlink.Link) bool {
	kind := link.Type()
	return kind != "vlan" && named.Type() == kind || kind == "macvlan" && named.Type() == "macvtap"
}

func nameOf(link netlink.Link, err error) string {
	if err != nil {
		return "none"
	}
	return link.Attrs().Name
}

// hung are the links that hang on a parent of that side, as far as they can be found, each with whose it is: those beside it and, where it is the host's, those of containers
// that runtimes remember. What nobody remembers, or cannot be looked at, is not found.
func hung(side *site.Side, parent netlink.Link) iter.Seq2[netlink.Link, string] {
	return func(yield func(netlink.Link, string) bool) {
		on := func(link netlink.Link, beside bool) bool {
			a := link.Attrs()
			return a.ParentIndex == parent.Attrs().Index && (a.NetNsID < 0) == beside
		}
		links, _ := side.LinkList()
		for _, link := range links {
			if on(link, true) && !yield(link, "link "+link.Attrs().Name+" of the "+where(side)) {
				return
			}
		}
		if side.NS >= 0 {
			return
		}
		entries, _ := cache.Read(cache.Dir)
		for _, e := range entries {
			if link := linkOf(e); link != nil && on(link, false) && !yield(link, "attachment "+e.Network+"/"+e.ContainerID+"/"+e.IfName) {
				return
			}
		}
	}
}

// linkOf is the interface of an attachment that a runtime remembers; nil where it cannot be looked at.
func linkOf(e cache.Entry) netlink.Link {
	if !e.Lives() {
		return nil
	}
	s, err := site.Open(site.Options{Netns: e.Netns})
	if err != nil {
		return nil
	}
	defer s.Close()
	link, _ := find(s.Container, e.IfName)
	return link
}

// free says why nothing that takes all frames of the link can hang on it: the port of a bridge or a bond gives its frames to that already.
func free(side *site.Side, link netlink.Link) error {
	a := link.Attrs()
	if a.MasterIndex == 0 {
		return nil
	}
	master, err := side.LinkByIndex(a.MasterIndex)
	name := nameOf(master, err)
	return fault.New(fault.Config, "hang it on "+name, "master: link %s: a port of %s, which has its frames already", a.Name, name)
}

// busy explains the kernel's word that somebody else takes the parent's frames, all of them: links of the other kind, or a bridge.
func (p Parent) busy(s *site.Site, err error) error {
	if !errors.Is(err, unix.EBUSY) {
		return err
	}
	link, failed := p.find(s)
	return fault.New(fault.Taken, "use one kind on a parent, or another parent: see ip -d link show type macvlan, type ipvlan, in all namespaces",
		"parent %s: macvlan and ipvlan cannot both hang on it, nor one of them on a port of a bridge: %w", nameOf(link, failed), err)
}

// makes says why this kernel makes no links of the kind, which the module brings.
func makes(host *site.Side, kind, module string) error {
	err := host.Conn.CanMake(kind)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return fault.New(fault.Unsupported, "modprobe "+module+"; if there is no such module, use another kernel", "links of kind %s: this kernel has none", kind)
	}
	return nil
}
