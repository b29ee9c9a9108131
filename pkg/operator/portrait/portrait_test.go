package portrait

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/operator/draw"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
)

// link adds a link to the namespace.
func link(n *observe.Namespace, name, kind string, origin observe.Origin, addresses ...string) *observe.Link {
	l := &observe.Link{ID: n.ID + "/" + name, Name: name, Kind: kind, Up: true, Origin: origin}
	for _, a := range addresses {
		l.Addresses = append(l.Addresses, observe.Address{Prefix: netip.MustParsePrefix(a), Scope: "global"})
	}
	n.Links = append(n.Links, l)
	return l
}

func pair(a, b *observe.Link) { a.Peer, b.Peer = b.ID, a.ID }

// host is one with what a kernel in a test does not show: a card, namespaces that cannot be entered, links whose other ends are hidden.
func host() (*observe.Host, *observe.Namespace) {
	own := &observe.Namespace{ID: "netns/host", Name: "host", Host: true}
	return &observe.Host{Namespaces: []*observe.Namespace{own}}, own
}

func box(t *testing.T, p draw.Picture, id string) draw.Box {
	t.Helper()
	i := slices.IndexFunc(p.Boxes, func(b draw.Box) bool { return b.ID == id })
	if i < 0 {
		t.Fatalf("no box %s in\n%s", id, p.JSON())
	}
	return p.Boxes[i]
}

func joined(p draw.Picture, from, to string) bool {
	return slices.ContainsFunc(p.Edges, func(e draw.Edge) bool { return e.From == from && e.To == to })
}

func TestClosedNamespaceSaysWhy(t *testing.T) {
	h, _ := host()
	h.Namespaces = append(h.Namespaces, &observe.Namespace{ID: "netns/7", Name: "process 7 (sh)", Closed: "operation not permitted"})
	h.Problems = []observe.Problem{{Object: "reservations", Cause: "permission denied", Remedy: "as root"}}
	p := Of(h)
	if b := box(t, p, "netns/7"); b.Why != "unknown: operation not permitted" || b.Lane != closed {
		t.Errorf("got %+v", b)
	}
	if text := strings.Join(strings.Fields(p.Text(draw.Terminal{Width: 80})), " "); !strings.Contains(text, "unknown: operation") || !strings.Contains(text, "reservations: not read: permission denied; as root") {
		t.Errorf("not said in\n%s", text)
	}
}

func TestUplinks(t *testing.T) {
	h, own := host()
	link(own, "lo", "device", observe.Kernel, "127.0.0.1/8")
	card := link(own, "eth0", "device", observe.Foreign, "192.0.2.1/24")
	bridge := link(own, "br0", "bridge", observe.Foreign, "198.51.100.1/24")
	port := link(own, "eth1", "device", observe.Foreign)
	port.Master = bridge.ID
	own.Routes = []observe.Route{{Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.9"), Link: "eth0", Table: 254}}
	p := Of(h)
	for _, id := range []string{card.ID, port.ID} {
		if b := box(t, p, id); b.Kind != draw.Uplink || !joined(p, "outside", id) {
			t.Errorf("%s: %+v", id, b)
		}
	}
	if !joined(p, card.ID, own.ID) || !joined(p, port.ID, bridge.ID) || joined(p, port.ID, own.ID) {
		t.Errorf("edges %+v", p.Edges)
	}
	if i := slices.IndexFunc(p.Edges, func(e draw.Edge) bool { return e.To == card.ID }); p.Edges[i].Label != "default via 192.0.2.9" {
		t.Errorf("label %q", p.Edges[i].Label)
	}
}

func TestLinksWithoutABridge(t *testing.T) {
	h, own := host()
	one, two := &observe.Namespace{ID: "netns/1", Name: "one"}, &observe.Namespace{ID: "netns/2", Name: "two"}
	h.Namespaces = append(h.Namespaces, one, two)
	routedEnd, inner := link(own, "vptp", "veth", observe.Foreign, "10.8.0.1/32"), link(one, "eth0", "veth", observe.Foreign, "10.8.0.2/32")
	pair(routedEnd, inner)
	left, right := link(one, "x1", "veth", observe.Foreign), link(two, "x2", "veth", observe.Foreign)
	pair(left, right)
	hidden := link(own, "vhidden", "veth", observe.Foreign)
	hidden.PeerHidden = true
	p := Of(h)
	if !joined(p, own.ID, routedEnd.ID) || !joined(p, routedEnd.ID, inner.ID) || !joined(p, left.ID, right.ID) || joined(p, own.ID, hidden.ID) {
		t.Errorf("edges %+v", p.Edges)
	}
	if b := box(t, p, hidden.ID); b.State != draw.Foreign || len(b.Lines) != 1 || b.Lines[0].Text != "other end not found" {
		t.Errorf("a link whose other end is hidden: %+v", b)
	}
	if b := box(t, p, two.ID); b.Lane != unconnected {
		t.Errorf("a container that only another one is joined to: %+v", b)
	}
}

func TestStatesOfAttachments(t *testing.T) {
	h, own := host()
	bridge := link(own, "cni0", "bridge", observe.Trestle, "10.1.0.1/24")
	for i, s := range []observe.State{observe.Whole, observe.Broken, observe.Half, observe.Leaked} {
		n := &observe.Namespace{ID: fmt.Sprintf("netns/%d", i+1), Name: string(s)}
		h.Namespaces = append(h.Namespaces, n)
		outer, inner := link(own, "veth-"+string(s), "veth", observe.Trestle), link(n, "eth0", "veth", observe.Trestle)
		pair(outer, inner)
		outer.Master = bridge.ID
		a := &observe.Attachment{ID: "net/" + string(s) + "/eth0", Network: "net", ContainerID: string(s), Origin: observe.Trestle, State: s,
			Namespace: n.ID, Link: inner.ID, HostLink: outer.ID, Bridge: bridge.ID}
		if s != observe.Whole {
			a.Why = []string{"first reason", "second"}
		}
		outer.Attachment, inner.Attachment = a.ID, a.ID
		h.Attachments = append(h.Attachments, a)
	}
	h.Attachments = append(h.Attachments, &observe.Attachment{ID: "net/gone/eth0", Network: "net", ContainerID: "gone", State: observe.Leaked, Why: []string{"dead"}})
	p := Of(h)
	for id, want := range map[string]draw.State{"netns/1": draw.Normal, "netns/2": draw.Broken, "netns/3": draw.Broken, "netns/4": draw.Leaked} {
		if b := box(t, p, id); b.State != want {
			t.Errorf("%s: %s, want its outer box marked as what is in it: %s", id, b.State, want)
		}
	}
	for id, want := range map[string]draw.Box{
		"netns/1/eth0":  {State: draw.Normal},
		"netns/2/eth0":  {State: draw.Broken, Why: "first reason (and 1 more)"},
		"netns/3/eth0":  {State: draw.Broken, Why: "half made: first reason (and 1 more)"},
		"netns/4/eth0":  {State: draw.Leaked, Why: "first reason (and 1 more)"},
		"net/gone/eth0": {State: draw.Leaked, Why: "dead"},
	} {
		if b := box(t, p, id); b.State != want.State || b.Why != want.Why {
			t.Errorf("%s: %s, %q, want %s, %q", id, b.State, b.Why, want.State, want.Why)
		}
		if b := box(t, p, id); b.Kind == draw.HostEnd && b.Lane != "net" {
			t.Errorf("%s is in lane %q", id, b.Lane)
		}
	}
}

func TestPublishedPorts(t *testing.T) {
	h, own := host()
	link(own, "cni0", "bridge", observe.Trestle)
	a := &observe.Attachment{ID: "net/c/eth0", Network: "net", ContainerID: "c", Origin: observe.Trestle, State: observe.Whole, Bridge: "netns/host/cni0"}
	for port := range uint16(20) {
		a.Ports = append(a.Ports, observe.Port{Protocol: "tcp", HostIP: netip.MustParseAddr("2001:db8::1"), HostPort: 100 - port, Target: netip.MustParseAddrPort("[fd00::2]:80")})
	}
	h.Attachments = []*observe.Attachment{a}
	whole := Of(h)
	if all := box(t, whole, "filter/net").Lines; len(all) != 20 { // who is asked for by one of them is to be found
		t.Errorf("%d lines, want each port", len(all))
	}
	lines := box(t, whole.Brief(), "filter/net").Lines
	if len(lines) != many || lines[0].Text != "tcp [2001:db8::1]:81 → [fd00::2]:80" || lines[many-1].Text != "and 15 more ports" {
		t.Errorf("got %+v", lines)
	}
}

func TestNumbersInNames(t *testing.T) {
	names := []string{"web-10", "web-9", "web-1", "api", "web", "web-09"}
	slices.SortFunc(names, compare)
	if got := strings.Join(names, " "); got != "api web web-1 web-9 web-09 web-10" {
		t.Errorf("got %s", got)
	}
}

// A functional block, to which what comes in by a host's end is led, is told of with that; one whose attachment is gone stands by itself.
func TestBeside(t *testing.T) {
	h, own := host()
	end := link(own, "veth1", "veth", observe.Trestle)
	block := link(own, "bwp1", "ifb", observe.Trestle)
	orphan := link(own, "bwp2", "ifb", observe.Trestle)
	h.Attachments = []*observe.Attachment{{ID: "net/c1/eth0", Network: "net", HostLink: end.ID}}
	end.Attachment, block.Attachment = "net/c1/eth0", "net/c1/eth0"
	p := Of(h)
	if b := box(t, p, end.ID); len(b.Lines) != 1 || b.Lines[0].Text != "sends by bwp1" || !slices.Contains(b.Names, "bwp1") {
		t.Errorf("the host's end: %+v", b)
	}
	if slices.ContainsFunc(p.Boxes, func(b draw.Box) bool { return b.ID == block.ID }) {
		t.Errorf("the block has a box of its own in\n%s", p.JSON())
	}
	box(t, p, orphan.ID)
}
