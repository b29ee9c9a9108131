package doctor

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/operator/ruleset"
)

func insideChecks() []Check {
	return []Check{
		{"inside-drops", Warning, "the container has all that it was given, and yet something within it is not reached, or reaches nobody", (*Picture).insideDrops, nil},
	}
}

// insideDrops judges, by the rules of the container's own namespace, what it asks for, what it is asked at its published ports, and the answers to both. What else it keeps out is its
// own affair.
func (p *Picture) insideDrops() (found []Finding) {
	for _, a := range p.living() {
		n, l := p.Host.Namespace(a.Namespace), p.Host.Link(a.Link)
		if n == nil || n.Host || n.Filter == nil || l == nil || l.Name == "lo" {
			continue
		}
		var seen []string
		for _, packet := range talk(a, n, l) {
			v := judgeInside(n, packet)
			by := v.By()
			if v.Action != ruleset.Drop && v.Action != ruleset.Reject || slices.Contains(seen, by.String()) {
				continue
			}
			seen = append(seen, by.String())
			found = append(found, Finding{Object: name(a), cause: by.String(),
				What:   fmt.Sprintf("in its own namespace %s (%s) drops what goes from %s to %s", by, by.Flavour, packet.Source, packet.Destination),
				Remedy: "change the rule, if it is not meant; see: " + enter(n) + listing(by)})
		}
	}
	return found
}

// talk are a question of the container's and one to each of its ports, each with its answer.
func talk(a *observe.Attachment, n *observe.Namespace, l *observe.Link) (list []ruleset.Packet) {
	for _, ip := range addresses(a) {
		other := ip.Next()
		if slices.ContainsFunc(n.Routes, func(r observe.Route) bool { return isDefault(r, ip.Is4()) }) {
			other = anybody(ip.Is4())
		}
		out := probe(ip, other, 443)
		out.Out = linkOf(l)
		list = append(list, out, answer(out))
		for _, port := range a.Ports {
			if port.Target.Addr() == ip {
				in := probe(other, ip, port.Target.Port())
				in.In, in.Protocol = linkOf(l), protocols[port.Protocol]
				list = append(list, in, answer(in))
			}
		}
	}
	return list
}

// protocols are those that ports are published of.
var protocols = map[string]uint8{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP}

// answer is the packet that goes back.
func answer(to ruleset.Packet) ruleset.Packet {
	p := to
	p.Source, p.Destination, p.SourcePort, p.DestinationPort, p.In, p.Out = to.Destination, to.Source, to.DestinationPort, to.SourcePort, to.Out, to.In
	p.State, p.Reply = ruleset.Established, true
	return p
}

// judgeInside takes the packet through the hooks of who sends it, or gets it.
func judgeInside(n *observe.Namespace, p ruleset.Packet) (v ruleset.Verdict) {
	hooks, device := []ruleset.Hook{ruleset.Prerouting, ruleset.Input}, ruleset.Ingress
	if p.Out.Name != "" {
		hooks, device = []ruleset.Hook{ruleset.Output, ruleset.Postrouting}, ruleset.Egress
	}
	if v = n.Filter.JudgeDevice(device, cmp.Or(p.In.Name, p.Out.Name), p); v.Action != ruleset.Accept {
		return v
	}
	for _, hook := range hooks {
		if v = n.Filter.Judge(hook, p, eye{n}); v.Action != ruleset.Accept {
			return v
		}
		p = v.Packet
	}
	return v
}

// listing is the command that shows the rule.
func listing(by ruleset.Met) string {
	switch by.Flavour {
	case ruleset.Compat:
		return "iptables -L " + by.Chain + " -v -n"
	case ruleset.Legacy:
		return "iptables-legacy -L " + by.Chain + " -v -n"
	}
	return "nft -a list chain " + by.Table + " " + by.Chain
}

// enter is what comes before a command that is to run in the namespace; nothing for the host's, and where none can be named.
func enter(n *observe.Namespace) string {
	switch {
	case n.Host:
		return ""
	case len(n.Paths) > 0:
		return "nsenter --net=" + n.Paths[0] + " "
	case len(n.Processes) > 0:
		return fmt.Sprintf("nsenter --net --target %d ", n.Processes[0].PID)
	}
	return ""
}

// anybody is an address that stands for anybody outside: of documentation (RFC 5737, RFC 3849).
func anybody(is4 bool) netip.Addr {
	if is4 {
		return netip.AddrFrom4([4]byte{203, 0, 113, 1})
	}
	return netip.MustParseAddr("2001:db8:ffff::1")
}
