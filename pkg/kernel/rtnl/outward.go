package rtnl

import (
	"slices"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Advertised returns the links by which a router advertisement has made a route (RTPROT_RA), each once.
func (c *Conn) Advertised() (links []int, err error) {
	routes, err := c.dumpRoutes(unix.AF_INET6, unix.RTPROT_RA, 0)
	for _, r := range routes {
		if r.out != 0 && !slices.Contains(links, r.out) {
			links = append(links, r.out)
		}
	}
	return links, err
}

// Autoconfigured returns the links, each once, and those that have a global address of IPv6 with an end to it: one that was made of an advertised prefix and, without
// the next advertisement, is over.
func (c *Conn) Autoconfigured(links []int) ([]int, error) {
	all, err := c.AllAddrs()
	for link, addrs := range all {
		ends := func(a Addr) bool {
			return a.Addr().Is6() && a.Scope == unix.RT_SCOPE_UNIVERSE && a.Flags&unix.IFA_F_PERMANENT == 0
		}
		if slices.ContainsFunc(addrs, ends) && !slices.Contains(links, link) {
			links = append(links, link)
		}
	}
	return links, err
}

// Outward says whether a link leads out of the host: whether no container, and no virtual machine, can send frames that come in by it. What is sent to
// the host there may be believed, if the host wants to.
//
// A bridge with such a port does not, nor what stands on one: a VLAN of it, or the other end of a pair one end of which is its port. A link whose other
// end is in another namespace is a container's by its name, by the host's route to its one address, or it is how a host that is itself a
// container gets out: then it has another default route, or neither of these marks.
func (c *Conn) Outward(index int) (bool, error) {
	list, err := c.Links()
	if err != nil {
		return false, err
	}
	s := segment{links: list, seen: make(map[int]bool)}
	if s.reaches(index) {
		return false, nil
	}
	link := s.link(index)
	if link == nil || !link.elsewhere() && !link.software() {
		return link != nil, nil
	}
	leads, host, err := c.waysBy(index)
	named := slices.ContainsFunc(containersEnds, func(prefix string) bool { return strings.HasPrefix(link.Attrs().Name, prefix) })
	return leads || !host && !named && !link.software(), err
}

// containersEnds is how the host's ends of containers' links are named: by this suite and the reference, Calico, Cilium, systemd-nspawn (ve-, vb-) and
// the clouds. Nobody names the way out of a host so.
var containersEnds = []string{"veth", "cali", "lxc", "ve-", "vb-", "eni", "azv", "gke"}

// elsewhere says whether the link is one of a pair whose other end is in another namespace.
func (l LinkData) elsewhere() bool {
	a := l.Attrs()
	return Paired(l) && a.ParentIndex != 0 && a.NetNsID >= 0
}

// software says whether a program has the other end: a virtual machine, a tunnel, a switch.
func (l LinkData) software() bool { return l.Type() == "tuntap" || l.Type() == "openvswitch" }

// segment is what can send frames to a link.
type segment struct {
	links []LinkData
	seen  map[int]bool
}

func (s *segment) link(index int) *LinkData {
	for i := range s.links {
		if s.links[i].Attrs().Index == index {
			return &s.links[i]
		}
	}
	return nil
}

// reaches says whether the link is on a bridge to which containers are attached.
func (s *segment) reaches(index int) bool {
	link := s.link(index)
	if link == nil || s.seen[index] {
		return false
	}
	s.seen[index] = true
	a := link.Attrs()
	if a.ParentIndex != 0 && a.NetNsID < 0 && s.reaches(a.ParentIndex) { // a VLAN's link, the other end of a pair
		return true
	}
	if master := s.link(a.MasterIndex); master != nil && s.reaches(a.MasterIndex) {
		return true
	}
	return link.Type() == "bridge" && slices.ContainsFunc(s.links, func(port LinkData) bool {
		return port.Attrs().MasterIndex == index && (port.elsewhere() || port.software() || s.reaches(port.Attrs().Index))
	})
}

// waysBy says whether a default route that was not advertised leads out by a router on the link, and whether the host has a route to a single address
// there.
func (c *Conn) waysBy(index int) (leads, host bool, err error) {
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		routes, err := c.dumpRoutes(family, 0, index)
		if err != nil {
			return false, false, err
		}
		for _, r := range routes {
			leads = leads || r.bits == 0 && r.via && r.protocol != unix.RTPROT_RA
			host = host || r.kind == unix.RTN_UNICAST && !r.via && r.bits == map[uint8]uint8{unix.AF_INET: 32, unix.AF_INET6: 128}[family]
		}
	}
	return leads, host, nil
}

// way is what matters here of a route, or of one of its next hops.
type way struct {
	nth                  int // of which route
	bits, protocol, kind uint8
	table                uint8 // RT_TABLE_*; 0: one above 255
	out                  int   // the link's index
	via                  bool
}

// dumpRoutes reads routes of one family, those of one protocol and out by one link where these are not 0. The kernel filters the dump (strict checking).
func (c *Conn) dumpRoutes(family, protocol uint8, link int) (list []way, err error) {
	q := Request(unix.RTM_GETROUTE, unix.NLM_F_DUMP)
	q.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: family, Protocol: protocol}})
	number(q, unix.RTA_OIF, uint32(link))
	bodies, err := c.Read(q)
	for nth, body := range bodies {
		m, attrs := nl.DeserializeRtMsg(body), body[unix.SizeofRtMsg:]
		w := way{nth: nth, bits: m.Dst_len, protocol: m.Protocol, kind: m.Type, table: m.Table, via: attribute(attrs, unix.RTA_GATEWAY) != nil || attribute(attrs, unix.RTA_VIA) != nil}
		if out := attribute(attrs, unix.RTA_OIF); len(out) == 4 {
			w.out = int(nl.NativeEndian().Uint32(out))
		}
		hops := attribute(attrs, unix.RTA_MULTIPATH)
		for {
			size := hopSize(hops)
			if size > 0 {
				w.out, w.via = int(nl.NativeEndian().Uint32(hops[4:])), size > unix.SizeofRtNexthop // by a gateway
			}
			if (protocol == 0 || w.protocol == protocol) && (link == 0 || w.out == link) {
				list = append(list, w)
			}
			if hops = hops[size:]; len(hops) == 0 || size == 0 {
				break
			}
		}
	}
	return list, err
}
