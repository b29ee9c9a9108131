package page

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/operator/observe"
)

// Context is the view of one network context, in the order in which a packet's sender would ask: which devices are there, which addresses do
// they have, which way is chosen, who is known nearby, what do the filters and settings say.
func Context(h *observe.Host, n *observe.Namespace) *Page {
	p := &Page{Title: "network context " + n.Name}
	p.add(identity(h, n))
	if n.Closed != "" {
		return p
	}
	p.add(devices(h, n))
	p.add(addresses(n))
	p.add(routes(n))
	p.add(policy(n))
	p.add(neighbours(n))
	p.add(filter(n))
	p.add(sysctls(n))
	p.Sections = slices.DeleteFunc(p.Sections, func(s Section) bool { return len(s.Rows) == 0 })
	return p
}

func identity(h *observe.Host, n *observe.Namespace) Section {
	s := Section{Title: "namespace"}
	s.fact("identifier", n.ID)
	s.fact("paths", strings.Join(n.Paths, " "))
	for _, p := range n.Processes {
		s.fact("process", fmt.Sprintf("%d %s", p.PID, p.Command))
	}
	for _, a := range h.Attachments {
		if a.Namespace == n.ID {
			s.fact("attachment", attachmentLine(a))
		}
	}
	if n.Closed != "" {
		s.row(Bad, "unknown", n.Closed)
	}
	return s
}

func attachmentLine(a *observe.Attachment) string {
	container := a.ContainerID
	if a.Pod != "" {
		container += " (pod " + a.Pod + ")"
	}
	return fmt.Sprintf("%s of container %s on network %s, made by %s: %s", a.IfName, container, a.Network, a.Origin, a.State)
}

func devices(h *observe.Host, n *observe.Namespace) Section {
	s := Section{Title: "devices", Head: []string{"DEVICE", "KIND", "STATE", "MAC", "MTU", "LEADS TO", "MADE BY"}}
	for _, l := range n.Links {
		mark := of(l.Origin)
		if !l.Up && l.Attachment != "" {
			mark = Bad
		}
		s.row(mark, l.Name, l.Kind, linkState(l), l.MAC, fmt.Sprint(l.MTU), leadsTo(h, n, l), string(l.Origin))
	}
	return s
}

func linkState(l *observe.Link) string {
	switch {
	case !l.Up:
		return "down"
	case !l.Running:
		return "up, no carrier"
	}
	return "up"
}

// leadsTo says where frames go that leave by the link: to the other end of the pair, by what it hangs on, or through the bridge that it is a port of.
func leadsTo(h *observe.Host, n *observe.Namespace, l *observe.Link) string {
	var parts []string
	if l.Peer != "" {
		parts = append(parts, elsewhere(h, n, l.Peer))
	}
	if l.Parent != "" {
		parts = append(parts, "hangs on "+elsewhere(h, n, l.Parent))
	}
	if l.PeerHidden {
		parts = append(parts, "a namespace that was not found or not looked into")
	}
	if l.Master != "" {
		text := "port of " + LinkName(l.Master)
		if l.Port != nil {
			text += " (" + portState(l.Port) + ")"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

func portState(p *observe.BridgePort) string {
	text := p.State
	if p.Hairpin {
		text += ", hairpin"
	}
	if p.Isolated {
		text += ", isolated"
	}
	return text
}

func addresses(n *observe.Namespace) Section {
	s := Section{Title: "addresses", Head: []string{"DEVICE", "ADDRESS", "SCOPE", "MADE BY"}}
	for _, l := range n.Links {
		for _, a := range l.Addresses {
			scope := a.Scope
			if a.Tentative {
				scope += ", tentative"
			}
			s.row(of(a.Origin), l.Name, a.Prefix.String(), scope, string(madeBy(a.Origin, l)))
		}
	}
	return s
}

// madeBy says whose something on a link is that bears no mark of its own: in a container it is of whoever made the interface.
func madeBy(o observe.Origin, l *observe.Link) observe.Origin {
	if o == observe.Foreign && l != nil && l.Attachment != "" {
		return l.Origin
	}
	return o
}

// mainTable and localTable are numbers of rtnetlink(7).
const (
	mainTable  = 254
	localTable = 255
)

// routes shows what was put there; the table local is the kernel's copy of the addresses, and left out.
func routes(n *observe.Namespace) Section {
	s := Section{Title: "routes", Head: []string{"TO", "BY", "DEVICE", "SOURCE", "TABLE", "METRIC", "MADE BY"}}
	for _, r := range n.Routes {
		if r.Table == localTable || r.Destination.Addr().IsMulticast() {
			continue
		}
		table := "main"
		if r.Table != mainTable {
			table = fmt.Sprint(r.Table)
		}
		s.row(Plain, destination(r), by(r), r.Link, valid(r.Source), table, fmt.Sprint(r.Metric), routeOrigin(n, r))
	}
	return s
}

func destination(r observe.Route) string {
	if r.Destination.Bits() == 0 && r.Destination.Addr().IsUnspecified() {
		if r.Destination.Addr().Is6() {
			return "default (IPv6)"
		}
		return "default"
	}
	return r.Destination.String()
}

func by(r observe.Route) string {
	switch {
	case r.Gateway.IsValid():
		return r.Gateway.String()
	case r.Kind != "":
		return r.Kind
	}
	return "direct"
}

func valid(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func routeOrigin(n *observe.Namespace, r observe.Route) string {
	if r.Protocol == "kernel" || r.Protocol == "ra" {
		return r.Protocol
	}
	if l := n.Named(r.Link); l != nil && l.Attachment != "" && !n.Host {
		return string(l.Origin)
	}
	return string(observe.Foreign) + " (" + r.Protocol + ")"
}

// policy shows the rules that choose a table, beside the three that every namespace has.
func policy(n *observe.Namespace) Section {
	s := Section{Title: "rules of routing", Head: []string{"PRIORITY", "RULE", "FAMILY"}}
	for _, r := range n.Rules {
		if r.Priority == 0 || r.Priority == 32766 || r.Priority == 32767 {
			continue
		}
		s.row(Plain, fmt.Sprint(r.Priority), r.Text, map[bool]string{false: "ipv4", true: "ipv6"}[r.IPv6])
	}
	return s
}

func neighbours(n *observe.Namespace) Section {
	s := Section{Title: "neighbours", Head: []string{"DEVICE", "ADDRESS", "MAC", "STATE"}}
	for _, e := range n.Neighbours {
		mark := Plain
		if e.State == "failed" {
			mark = Bad
		}
		s.row(mark, e.Link, e.Address.String(), e.MAC, e.State)
	}
	return s
}

func sysctls(n *observe.Namespace) Section {
	s := Section{Title: "settings", Head: []string{"SYSCTL", "VALUE", "MEANS"}}
	for _, key := range slices.Sorted(maps.Keys(n.Sysctls)) {
		s.row(Plain, "net/"+key, n.Sysctls[key], meaning(key, n.Sysctls[key]))
	}
	if n.Conntrack >= 0 {
		s.row(Plain, "net/netfilter/nf_conntrack_count", fmt.Sprint(n.Conntrack), "connections that are tracked")
	}
	return s
}

// meaning says what a setting does to packets, where it does anything.
func meaning(key, value string) string {
	name := key[strings.LastIndexByte(key, '/')+1:]
	switch name + "=" + value {
	case "ip_forward=1", "forwarding=1":
		return "packets are forwarded"
	case "ip_forward=0", "forwarding=0":
		return "packets for others are dropped"
	case "rp_filter=1":
		return "dropped unless the answer would leave by the same device"
	case "rp_filter=2":
		return "dropped unless there is a route back"
	case "route_localnet=1":
		return "127.0.0.0/8 may be routed"
	case "disable_ipv6=1":
		return "no IPv6"
	case "accept_ra=2":
		return "router advertisements are believed, even where packets are forwarded"
	case "bridge-nf-call-iptables=1", "bridge-nf-call-ip6tables=1":
		return "frames on bridges pass the packet filter, too"
	}
	return ""
}
