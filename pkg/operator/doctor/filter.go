package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/operator/conflist"
	"github.com/trestle-cni/trestle/pkg/operator/known"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/operator/ruleset"
)

func filterChecks() []Check {
	return []Check{
		{"forward-policy", Error, "nothing passes between containers and the outside: the chain's policy drops what no rule lets pass",
			func(p *Picture) []Finding { return p.forward(true) }, []string{"forwarding-ipv4"}},
		{"forward-rule", Error, "nothing passes between containers and the outside: a rule drops it",
			func(p *Picture) []Finding { return p.forward(false) }, nil},
		{"bridge-nf-drops", Warning, "containers on one bridge do not reach each other: bridges show their frames to the rules of IP, and one drops them",
			(*Picture).bridgeNFDrops, []string{"forward-policy", "forward-rule"}},
		{"port-taken", Error, "the published port leads elsewhere: somebody else's rule comes first", (*Picture).portTaken, nil},
		{"iptables-both", Warning, "the tables of iptables-legacy and those of iptables-nft do not see each other, and packets pass both",
			(*Picture).bothFlavours, nil},
		{"iptables-unusable", Error, "no container gets a network whose configuration asks for iptables", (*Picture).unusablePrograms, nil},
		{"rules-gone", Error, "published ports lead nowhere, and containers leave with their own addresses", (*Picture).rulesGone, nil},
	}
}

// stranger stands for somebody whom the host reaches by the uplink: anybody where the host has a default route; else a neighbour. Invalid: nobody is reached there.
func (p *Picture) stranger(is4 bool, uplink *observe.Link) netip.Addr {
	if p.leadsOut(is4) {
		return anybody(is4)
	}
	for _, own := range global(uplink) {
		for _, a := range []netip.Addr{own.Addr().Next(), own.Addr().Prev()} {
			if own.Addr().Is4() == is4 && own.Contains(a) {
				return a
			}
		}
	}
	return netip.Addr{}
}

// probe is the first segment from one end to the other.
func probe(from, to netip.Addr, port uint16) ruleset.Packet {
	const client = 54321
	return ruleset.Packet{Source: from, Destination: to, Protocol: unix.IPPROTO_TCP, SourcePort: client, DestinationPort: port, State: ruleset.New,
		Original: [2]netip.AddrPort{netip.AddrPortFrom(from, client), netip.AddrPortFrom(to, port)}}
}

// forward judges what goes from containers to the outside, and to their published ports. byPolicy tells which of two checks asks.
func (p *Picture) forward(byPolicy bool) (found []Finding) {
	host := p.Host.Own()
	uplinks := p.uplinks()
	if host.Filter == nil || len(uplinks) == 0 {
		return nil
	}
	seen := make(map[string]bool)
	for _, is4 := range []bool{true, false} {
		for _, a := range p.routed(is4) {
			if swept(a) { // what let it pass is gone, which is the cause, and made again by a repair
				continue
			}
			for _, packet := range p.passing(a, is4, uplinks[0]) {
				v := host.Filter.Judge(ruleset.Forward, packet, eye{host})
				by := v.By()
				if v.Action != ruleset.Drop && v.Action != ruleset.Reject || (by.Text == "policy drop") != byPolicy || seen[by.String()] {
					continue
				}
				seen[by.String()] = true
				found = append(found, Finding{Object: by.Table,
					What:   fmt.Sprintf("%s (%s) drops what goes from %s to %s", by, by.Flavour, packet.Source, packet.Destination),
					Remedy: remedy(by)})
			}
		}
	}
	return found
}

// passing are a packet out, and one to each published port.
func (p *Picture) passing(a *observe.Attachment, is4 bool, uplink *observe.Link) (list []ruleset.Packet) {
	inner := p.Host.Link(a.Bridge)
	if inner == nil {
		inner = p.Host.Link(a.HostLink)
	}
	other := p.stranger(is4, uplink)
	for _, ip := range addresses(a) {
		if ip.Is4() != is4 || !other.IsValid() {
			continue
		}
		out := probe(ip, other, 443)
		out.In, out.Out = linkOf(inner), linkOf(uplink)
		list = append(list, out)
		for _, port := range a.Ports {
			if port.Target.Addr() == ip && port.Protocol == "tcp" {
				in := probe(other, ip, port.Target.Port())
				in.In, in.Out, in.DNAT = linkOf(uplink), linkOf(inner), true
				list = append(list, in)
			}
		}
	}
	return list
}

func remedy(by ruleset.Met) string {
	tool := listing(by)
	if by.Flavour == ruleset.NFTables && !firewall.KeepsApart(by.Table, by.Chain) {
		return fmt.Sprintf("nft 'insert rule %s %s %s', where the networks' lists have the plugin firewall and the chain's priority is between -10 and 20; "+
			"otherwise rules that accept the containers' subnets, as source and as destination, before what drops; see: %s", by.Table, by.Chain, firewall.PassRule, tool)
	}
	if by.Text == "policy drop" {
		return "add rules that accept the containers' subnets, as source and as destination, or set the policy to accept; see: " + tool
	}
	return "change the rule; see: " + tool
}

// bridgeNFDrops judges a frame from one port to another, where bridges show frames to the rules of IP.
func (p *Picture) bridgeNFDrops() (found []Finding) {
	host := p.Host.Own()
	for bridge, list := range p.bridges() {
		for _, a := range list {
			for _, ip := range addresses(a) {
				key := map[bool]string{true: "bridge/bridge-nf-call-iptables", false: "bridge/bridge-nf-call-ip6tables"}[ip.Is4()]
				if p.sysctl(key) != "1" || host.Filter == nil || swept(a) {
					continue
				}
				l, port := host.Named(bridge), p.Host.Link(a.HostLink)
				packet := probe(ip, ip.Next(), 80)
				packet.In, packet.Out, packet.PortIn, packet.PortOut = linkOf(l), linkOf(l), linkOf(port), ruleset.Link{Name: "another", Index: -1}
				if v := host.Filter.Judge(ruleset.Forward, packet, eye{host}); (v.Action == ruleset.Drop || v.Action == ruleset.Reject) && !firewall.KeepsApart(v.By().Table, v.By().Chain) {
					found = append(found, Finding{Object: "link " + bridge,
						What:   fmt.Sprintf("net/%s is 1, and %s drops what goes between containers on %s", key, v.By(), bridge),
						Remedy: "change the rule, or sysctl -w net/" + key + "=0 where nothing needs it (Kubernetes does)"})
					break
				}
			}
			if len(found) > 0 && found[len(found)-1].Object == "link "+bridge {
				break
			}
		}
	}
	return found
}

// portTaken judges a packet from outside to each published port.
func (p *Picture) portTaken() (found []Finding) {
	host := p.Host.Own()
	uplinks := p.uplinks()
	if host.Filter == nil || len(uplinks) == 0 {
		return nil
	}
	for _, a := range p.living() {
		for _, port := range a.Ports {
			to := port.HostIP
			for _, own := range global(uplinks[0]) {
				if (!to.IsValid() || to.IsUnspecified()) && own.Addr().Is4() == port.Target.Addr().Is4() {
					to = own.Addr()
				}
			}
			if !to.IsValid() || to.IsUnspecified() || to.IsLoopback() {
				continue
			}
			other := p.stranger(to.Is4(), uplinks[0])
			if !other.IsValid() {
				continue
			}
			packet := probe(other, to, port.HostPort)
			packet.Protocol = protocols[port.Protocol]
			packet.In = linkOf(uplinks[0])
			v := host.Filter.Judge(ruleset.Prerouting, packet, eye{host})
			now := netip.AddrPortFrom(v.Packet.Destination, v.Packet.DestinationPort)
			if v.Action == ruleset.Accept && v.Translated && now != port.Target && !p.leadsHome(a, now) {
				found = append(found, Finding{Object: name(a),
					What:   fmt.Sprintf("port %d/%s leads to %s and not to %s: %s", port.HostPort, port.Protocol, now, port.Target, v.By()),
					Remedy: "publish another port, or remove that rule"})
			}
		}
	}
	return found
}

// localnet judges a packet to 127.0.0.1 that comes in by a link that lets such packets in.
func (p *Picture) localnet() (found []Finding) {
	host := p.Host.Own()
	for _, l := range host.Links {
		key := "ipv4/conf/" + l.Name + "/route_localnet"
		if l.Name == "lo" || host.Filter == nil || max(p.sysctl(key), p.sysctl("ipv4/conf/all/route_localnet")) != "1" {
			continue
		}
		packet := probe(netip.AddrFrom4([4]byte{203, 0, 113, 1}), netip.AddrFrom4([4]byte{127, 0, 0, 1}), 80)
		packet.In = linkOf(l)
		if v := host.Filter.Judge(ruleset.Prerouting, packet, eye{host}); v.Action != ruleset.Accept {
			continue
		}
		f := Finding{Object: "link " + l.Name, What: fmt.Sprintf("net/%s is 1, and no rule drops what comes by %s for 127.0.0.1", key, l.Name),
			Remedy: "trestle repair makes the guard again where a port of 127.0.0.1 is published; otherwise sysctl -w net/" + key + "=0"}
		switch {
		case p.publishes():
			f.Fix, f.cause = &Fix{Kind: Repair}, "guard"
		case p.sysctl(key) == "1":
			f.Fix = &Fix{Kind: SetSysctl, Name: key, To: "0"}
		}
		found = append(found, f)
	}
	return found
}

// publishes says whether any port is published; one may be on 127.0.0.1.
func (p *Picture) publishes() bool {
	return slices.ContainsFunc(p.living(), func(a *observe.Attachment) bool { return len(a.Ports) > 0 })
}

func (p *Picture) bothFlavours() []Finding {
	filter := p.Host.Own().Filter
	if filter == nil {
		return nil
	}
	tables := make(map[ruleset.Flavour][]string)
	for _, t := range filter.Tables {
		if t.Populated() {
			tables[t.Flavour] = append(tables[t.Flavour], t.String())
		}
	}
	if len(tables[ruleset.Legacy]) == 0 || len(tables[ruleset.Compat]) == 0 {
		return nil
	}
	return []Finding{{Object: "host",
		What: fmt.Sprintf("iptables-legacy has rules in %s, and iptables-nft in %s", strings.Join(tables[ruleset.Legacy], ", "),
			strings.Join(tables[ruleset.Compat], ", ")),
		Remedy: "choose one (update-alternatives --config iptables), move the other's rules there, and restart what writes them"}}
}

// IPTables is the file of the first configuration that asks for iptables; empty for none.
func (p *Picture) IPTables() string {
	for _, f := range p.Configs {
		for _, plugin := range f.Plugins {
			if slices.ContainsFunc(append([]*conflist.Node{plugin.Node}, known.Inner(plugin.Node)...), func(n *conflist.Node) bool { return known.AsksFor(n, "iptables") }) {
				return f.Path
			}
		}
	}
	return ""
}

// unusablePrograms tells why a tool of iptables that is asked for is of no use.
func (p *Picture) unusablePrograms() (found []Finding) {
	for _, one := range p.Programs {
		if one.Fault != "" {
			found = append(found, Finding{Object: one.Name, What: fmt.Sprintf("%s asks for iptables, and %s is of no use: %s", p.IPTables(), one.Name, one.Fault),
				Remedy: "install iptables 1.6.2 or later; what nft wrote into a table of iptables, move into one of its own; or choose nftables"})
		}
	}
	return found
}

// rulesGone looks for the table of a filter that CHECK misses.
func (p *Picture) rulesGone() (found []Finding) {
	filter := p.Host.Own().Filter
	if filter == nil {
		return nil
	}
	ours := slices.ContainsFunc(filter.Tables, func(t *ruleset.Table) bool {
		return firewall.OwnTable(t.Name) || slices.ContainsFunc(t.Chains, func(c *ruleset.Chain) bool { return strings.HasPrefix(c.Name, "CNI-") && len(c.Rules) > 0 })
	})
	var missing []string
	for _, a := range p.living() {
		if strings.Contains(complaint(a), "packet filter") || strings.Contains(complaint(a), "table inet trestle") {
			missing = append(missing, name(a))
		}
	}
	if ours || len(missing) == 0 {
		return nil
	}
	return []Finding{{Object: "table inet trestle",
		What:   fmt.Sprintf("there are no rules of ours, and %d attachments had some (%s)", len(missing), short(missing)),
		Remedy: "trestle repair; then find out who flushed them (a restart of nftables or firewalld: enable trestle-repair.service)",
		Fix:    &Fix{Kind: Repair}}}
}

// short is a list cut after three.
func short(list []string) string {
	if len(list) > 3 {
		return strings.Join(list[:3], ", ") + " ..."
	}
	return strings.Join(list, ", ")
}
