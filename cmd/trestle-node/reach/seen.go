package reach

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// seen is what the last repair went by: what is heard is held against it.
type seen struct {
	routes   map[netip.Prefix]Route
	hops     map[netip.Addr]MAC
	ends     map[End]bool
	own      map[netip.Prefix]bool
	paths    map[netip.Addr]Path
	links    map[int]bool // by which others are reached
	tunnel   int
	name     string // the tunnel's, where there is to be one
	protocol uint8
}

// due is what is to be repaired: what went of ours, which is put back from memory; or all, after a look at what there is.
type due struct {
	all  bool
	lost Set
}

func see(want Set, g Ground, c Config) seen {
	s := seen{routes: make(map[netip.Prefix]Route, len(want.Routes)), hops: make(map[netip.Addr]MAC, len(want.Hops)), ends: want.Ends, own: want.Own, paths: g.Paths,
		links: make(map[int]bool), tunnel: g.Tunnel, protocol: uint8(c.Protocol)}
	if c.Mode.tunnels() {
		s.name = c.name()
	}
	for route := range want.Routes {
		s.routes[route.Dst] = route
	}
	for hop := range want.Hops {
		s.hops[hop.Addr] = hop.MAC
	}
	for _, path := range g.Paths {
		s.links[path.Link] = true
	}
	return s
}

// hear notes what is due after the event, and says whether any of that is by this one: what failed is not tried again because of others'. What we have done
// ourselves comes back as it was wanted.
func (s *seen) hear(e event, d *due) bool {
	if d.lost.Routes == nil {
		d.lost = newSet()
	}
	all, lost := d.all, d.lost.len()
	d.all = false
	switch e.kind {
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		if e.table == unix.RT_TABLE_MAIN {
			s.hearRoute(e, d)
		}
	case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
		if e.link == s.tunnel && s.tunnel != 0 {
			s.hearNeighbour(e, d)
		}
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		if e.link == s.tunnel && s.tunnel != 0 {
			s.hearAddr(e, d)
		}
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		if s.links[e.link] {
			s.forget(d)
		}
		d.all = d.all || s.name != "" && (e.name == s.name || e.link == s.tunnel) // the ways to others' ends are not by it
	}
	if e.lost {
		s.forget(d)
	}
	more := d.all || d.lost.len() > lost
	d.all = d.all || all
	return more
}

// forget is for what may be about how others are reached: the paths are not known any more.
func (s *seen) forget(d *due) { s.paths, d.all = nil, true }

func (s *seen) hearRoute(e event, d *due) {
	wanted, ok := s.routes[e.route.Dst]
	ours, gone := e.proto == s.protocol, e.kind == unix.RTM_DELROUTE
	switch {
	case ours && gone: // one that is not as it is to be we have taken ourselves, or are glad of it
		if ok && e.route == wanted {
			d.lost.Routes[wanted] = true
		}
	case ok:
		d.all = d.all || !ours || e.route != wanted
	case ours:
		d.all = true
	default:
		for addr := range s.paths {
			if e.route.Dst.Contains(addr) {
				s.forget(d)
				return
			}
		}
	}
}

// hearNeighbour is about the tunnel. Of a neighbour that goes the kernel says first that it has failed.
func (s *seen) hearNeighbour(e event, d *due) {
	gone, hop, end := e.kind == unix.RTM_DELNEIGH, e.near.Hop, e.near.End
	switch mac, wanted := s.hops[hop.Addr]; {
	case wanted:
		if gone || hop.MAC != mac {
			d.lost.Hops[Hop{hop.Addr, mac}] = true
		}
	case hop.Addr.IsValid():
		d.all = d.all || !gone && hop.MAC != MAC{}
	case gone && s.ends[end]:
		d.lost.Ends[end] = true
	case !gone && !s.ends[end]:
		d.all = true
	}
}

// hearAddr is about the tunnel's end here. What the kernel gives it by itself comes a second or two after the link is up, and is nobody's. With the last address of
// IPv4 that goes the kernel takes the routes and neighbours, without a word.
func (s *seen) hearAddr(e event, d *due) {
	if gone := e.kind == unix.RTM_DELADDR; !e.addr.Addr().IsLinkLocalUnicast() && (gone || !s.own[e.addr]) {
		d.all = true
	}
}
