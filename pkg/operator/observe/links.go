package observe

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/procfile"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/operator/known"
	"github.com/trestle-cni/trestle/pkg/order"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// end is what the kernel says of the other end of a pair, or of what a link hangs on.
type end struct {
	index  int  // of the other end, in its namespace; 0: the link is not one of a pair
	inside bool // it is in the same namespace
	host   bool // it is in the host's
	parent bool // it is none, but what the link hangs on
}

// takeLinks notes the links of a namespace, which calls the host's by the number.
func (r *reader) takeLinks(n *Namespace, links []rtnl.LinkData, hostNumber int) {
	names := make(map[int]string, len(links))
	for _, link := range links {
		names[link.Attrs().Index] = link.Attrs().Name
	}
	for _, link := range links {
		a := link.Attrs()
		l := &Link{ID: n.ID + "/" + a.Name, Name: a.Name, Index: a.Index, Kind: link.Type(), MAC: a.HardwareAddr.String(), MTU: a.MTU,
			Up: a.Flags&net.FlagUp != 0, Running: a.RawFlags&unix.IFF_LOWER_UP != 0, Alias: a.Alias}
		if a.MasterIndex != 0 {
			l.Master = n.ID + "/" + names[a.MasterIndex]
		}
		if p := link.Port; p != nil {
			l.Port = &BridgePort{State: p.State.String(), Hairpin: p.Hairpin, Isolated: p.Isolated}
		}
		l.Origin = originOf(n, l)
		n.Links = append(n.Links, l)
		if stacked := known.Stacked(l.Kind); a.ParentIndex != 0 && (stacked || rtnl.Paired(link)) {
			r.note(l, end{index: a.ParentIndex, inside: a.NetNsID < 0, host: !n.Host && a.NetNsID >= 0 && a.NetNsID == hostNumber, parent: stacked})
		}
	}
	order.By(n.Links, func(a, b *Link) int { return cmp.Compare(a.Index, b.Index) })
}

// hostNumber is what the namespace that the thread is in calls the host's; -1 where it has no number for it.
func (r *reader) hostNumber(n *Namespace, h *netlink.Handle) int {
	if n.Host || r.own == nil {
		return -1
	}
	number, err := h.GetNetNsIdByFd(int(r.own.Fd()))
	if err != nil {
		return -1
	}
	return number
}

func (r *reader) note(l *Link, e end) {
	r.mu.Lock()
	r.ends[l] = e
	r.mu.Unlock()
}

// originOf tells by a link's marks and name who made it. What a container's runtime made is found later, by what it is joined to.
func originOf(n *Namespace, l *Link) Origin {
	_, ours := owner.Parse(l.Alias)
	switch {
	case ours, known.Marked(l.Kind, l.Alias):
		return Trestle
	case l.Name == "lo":
		return Kernel
	case n.Host && (l.Name == "docker0" || l.Kind == known.KindBridge && strings.HasPrefix(l.Name, "br-") && len(l.Name) == 15):
		return Docker
	}
	return Foreign
}

// joinPairs finds the other end of every pair. Where the kernel's numbers leave a doubt, both ends must name each other, and nobody else.
func (r *reader) joinPairs(list []*Namespace) {
	host := byIndex(list[0])
	claims := make(map[[2]int][]*Link)
	for _, n := range list {
		own := byIndex(n)
		for _, l := range n.Links {
			e := r.ends[l]
			switch {
			case e.index == 0:
			case e.parent:
				hang(l, map[bool]*Link{e.inside: own[e.index], e.host: host[e.index]}[true])
			case e.inside:
				join(l, own[e.index])
			case e.host:
				join(l, host[e.index])
			case !n.Host:
				claims[[2]int{l.Index, e.index}] = append(claims[[2]int{l.Index, e.index}], l)
			}
		}
	}
	for pair, links := range claims {
		if others := claims[[2]int{pair[1], pair[0]}]; len(links) == 1 && len(others) == 1 {
			join(links[0], others[0])
		}
	}
	for l, e := range r.ends {
		l.PeerHidden = e.index != 0 && l.Peer == "" && !e.parent
	}
}

func join(l, other *Link) {
	if other != nil && l != other {
		l.Peer, other.Peer = other.ID, l.ID
	}
}

func hang(l, parent *Link) {
	if parent != nil && l != parent {
		l.Parent = parent.ID
	}
}

func byIndex(n *Namespace) map[int]*Link {
	links := make(map[int]*Link, len(n.Links))
	for _, l := range n.Links {
		links[l.Index] = l
	}
	return links
}

// readAdvertised notes by which links of the host a router has told it the way out, of those that listen only as long as the host does not forward. The
// counter says so, too, when the route has gone.
func readAdvertised(n *Namespace, conn *rtnl.Conn) (err error) {
	for _, l := range n.Links {
		if !n.Host || n.Sysctls["ipv6/conf/"+l.Name+"/accept_ra"] != "1" {
			continue
		}
		l.Advertised = slices.ContainsFunc(n.Routes, func(r Route) bool { return r.Link == l.Name && r.Protocol == "ra" }) || heard(l.Name)
		if l.Advertised {
			if l.Outward, err = conn.Outward(l.Index); err != nil {
				return fmt.Errorf("link %s: %w", l.Name, err)
			}
		}
	}
	return nil
}

// heard says whether router advertisements have come in by the link.
func heard(link string) bool {
	text, err := procfile.Read("/proc/thread-self/net/dev_snmp6/" + link)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == "Icmp6InRouterAdvertisements" {
			return words[1] != "0"
		}
	}
	return false
}
