package draw

import "fmt"

// sample is a host with networks of so many containers each, an uplink, published ports, and where there are three containers or more one that
// is on the next network too, one broken, one leaked and one of somebody else's.
func sample(sizes ...int) Picture {
	p := Picture{Title: "host node-1"}
	p.Boxes = []Box{
		{ID: "outside", Kind: Outside, Title: "outside", Lines: []Line{{Text: "default via 192.0.2.2"}}},
		{ID: "link:uplink", Kind: Uplink, Title: "uplink", Lines: []Line{{Text: "192.0.2.1/24"}}},
		{ID: "router", Kind: Router, Title: "host node-1", Lines: []Line{{Text: "forwards IPv4"}}},
	}
	p.Edges = []Edge{{From: "outside", To: "link:uplink"}, {From: "link:uplink", To: "router"}}
	names := []string{"front", "back", "ports", "dual", "wire"}
	for i, size := range sizes {
		name := names[i%len(names)]
		bridge, filter := "link:"+name+"0", "filter:"+name
		p.Boxes = append(p.Boxes,
			Box{ID: filter, Kind: Filter, Lane: name, Title: "packet filter", Lines: []Line{
				{Text: fmt.Sprintf("tcp 8080 → 10.%d.0.2:80", i), About: fmt.Sprintf("ns:%s-0", name)}, {Text: fmt.Sprintf("masquerade %d", size)}}},
			Box{ID: bridge, Kind: Bridge, Lane: name, Title: name + "0", Lines: []Line{{Text: fmt.Sprintf("10.%d.0.1/16", i)}}})
		p.Edges = append(p.Edges, Edge{From: "router", To: filter, Label: "routes"}, Edge{From: filter, To: bridge})
		for c := range size {
			ns := fmt.Sprintf("ns:%s-%d", name, c)
			p.Boxes = append(p.Boxes, Box{ID: ns, Kind: Namespace, Lane: name, Title: fmt.Sprintf("%s-%d", name, c)})
			p.attach(ns, bridge, "eth0", fmt.Sprintf("10.%d.%d.%d/16", i, (c+2)/256, (c+2)%256), c)
			if c == 1 && len(sizes) > 1 {
				p.attach(ns, "link:"+names[(i+1)%len(sizes)]+"0", "eth1", "10.9.9.9/16", -1)
			}
		}
	}
	return p
}

func (p *Picture) attach(ns, bridge, name, address string, c int) {
	host, inner := fmt.Sprintf("link:veth%s%x", ns[3:6], len(p.Boxes)*7919+1<<24), ns+"/"+name
	h := Box{ID: host, Kind: HostEnd, Lane: bridge, Title: host[5:]}
	e := Edge{From: bridge, To: host}
	in := Box{ID: inner, Kind: Interface, In: ns, Title: name, Lines: []Line{{Text: address}}}
	switch c {
	case 2:
		h.State, h.Why, e.State = Broken, "down", Broken
	case 3:
		in.State, in.Why = Foreign, "made by hand"
	case 4:
		h.State, h.Why = Leaked, "no container"
	}
	for _, b := range p.Boxes {
		if b.ID == ns {
			h.Lane = b.Lane
		}
	}
	p.Boxes = append(p.Boxes, h)
	p.Edges = append(p.Edges, e)
	if c != 4 {
		p.Boxes = append(p.Boxes, in)
		p.Edges = append(p.Edges, Edge{From: host, To: inner, State: h.State})
	}
}
