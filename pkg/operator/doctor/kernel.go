package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/operator/observe"
)

func kernelChecks() []Check {
	return []Check{
		{"forwarding-ipv4", Error, "the host passes nothing on between containers and the outside, and no published port works from outside",
			func(p *Picture) []Finding { return p.forwarding(true) }, nil},
		{"forwarding-ipv6", Error, "the host passes nothing on between containers and the outside, and no published port works from outside",
			func(p *Picture) []Finding { return p.forwarding(false) }, nil},
		{"ipv6-disabled", Error, "the network has IPv6 addresses, and its bridge cannot have one", (*Picture).disabled6, nil},
		{"ra-lost", Warning, "a host that forwards ignores router advertisements unless accept_ra is 2, and its default route will run out",
			(*Picture).ignoredRA, nil},
		{"rp-filter", Warning, "packets are dropped that come in by another link than the answer would leave by", (*Picture).strict, nil},
		{"route-localnet", Error, "neighbours reach services that listen on 127.0.0.1 alone (CVE-2020-8558)",
			(*Picture).localnet, []string{"rules-gone"}},
		{"route-blackhole", Error, "a route or a rule of routing throws packets away", (*Picture).blackholes, nil},
		{"bridge-nf-off", Warning, "a service's address is not answered by a container on the client's own bridge: the answer passes no rule",
			(*Picture).bridgeNFOff, nil},
	}
}

// ofFamily are living attachments with an address of the family.
func (p *Picture) ofFamily(is4 bool) (list []*observe.Attachment) {
	for _, a := range p.living() {
		if slices.ContainsFunc(addresses(a), func(ip netip.Addr) bool { return ip.Is4() == is4 }) {
			list = append(list, a)
		}
	}
	return list
}

// routed are those that the host is to pass packets on for: they have a default route by it.
func (p *Picture) routed(is4 bool) (list []*observe.Attachment) {
	for _, a := range p.ofFamily(is4) {
		n := p.Host.Namespace(a.Namespace)
		if n != nil && slices.ContainsFunc(n.Routes, func(r observe.Route) bool {
			return isDefault(r, is4) && r.Gateway.IsValid() && r.Link == a.IfName && p.Host.Own().Has(r.Gateway)
		}) {
			list = append(list, a)
		}
	}
	return list
}

func (p *Picture) forwarding(is4 bool) []Finding {
	key := "ipv6/conf/all/forwarding"
	if is4 {
		key = "ipv4/ip_forward"
	}
	list := p.routed(is4)
	if p.sysctl(key) != "0" || len(list) == 0 {
		return nil
	}
	sysctl := "net." + strings.ReplaceAll(key, "/", ".")
	return []Finding{{Object: "host", What: fmt.Sprintf("%s is 0, and %d containers have routes through the host", sysctl, len(list)),
		Remedy: "sysctl -w " + sysctl + "=1, and look for what sets it back (/etc/sysctl.d)", Fix: &Fix{Kind: SetSysctl, Name: key, To: "1"}}}
}

func (p *Picture) disabled6() (found []Finding) {
	seen := make(map[string]bool)
	for _, s := range p.subnets() {
		key := "ipv6/conf/" + s.bridge + "/disable_ipv6"
		if s.prefix.Addr().Is4() || seen[s.bridge] || p.sysctl(key) != "1" {
			continue
		}
		seen[s.bridge] = true
		found = append(found, Finding{Object: "link " + s.bridge,
			What:   fmt.Sprintf("net/%s is 1, and network %s has %s", key, s.network, s.prefix),
			Remedy: "sysctl -w net/" + key + "=0, then delete the containers and add them again"})
	}
	return found
}

// ignoredRA looks for links by which a router tells the host the way out, and that stopped listening when the host began to forward: while the route is
// there, and when it has gone and no other took its place.
func (p *Picture) ignoredRA() (found []Finding) {
	if p.sysctl("ipv6/conf/all/forwarding") != "1" {
		return nil
	}
	host := p.Host.Own()
	toDefault := func(r observe.Route) bool {
		return r.Destination.Bits() == 0 && r.Destination.Addr().Is6() && r.Kind == ""
	}
	for _, l := range host.Links {
		here := slices.ContainsFunc(host.Routes, func(r observe.Route) bool { return toDefault(r) && r.Link == l.Name && r.Protocol == "ra" })
		if !l.Advertised || !here && (!l.Outward || slices.ContainsFunc(host.Routes, toDefault)) {
			continue
		}
		found = append(found, ignored(l, here))
	}
	return found
}

// ignored is the finding of one link. One by which containers can send is better not believed.
func ignored(l *observe.Link, here bool) Finding {
	key := "ipv6/conf/" + l.Name + "/accept_ra"
	f := Finding{Object: "link " + l.Name, Remedy: "sysctl -w net/" + key + "=2", Fix: &Fix{Kind: SetSysctl, Name: key, To: "2"},
		What: fmt.Sprintf("the default route by %s came by a router advertisement, the host forwards IPv6, and net/%s is 1", l.Name, key)}
	switch {
	case !here:
		f.What = fmt.Sprintf("routers advertise themselves by %s, the host forwards IPv6 and does not listen, since net/%s is 1, and it has no default route of IPv6",
			l.Name, key)
		f.Remedy += "; the next advertisement brings the route"
	case !l.Outward:
		f.Fix, f.Remedy = nil, fmt.Sprintf("containers can send by %s: if one did, ip -6 route del default dev %s proto ra; if it is the host's own router, "+
			"give the host that route itself (ip -6 route add default via ROUTER dev %s)", l.Name, l.Name, l.Name)
	}
	return f
}

// strict looks for rp_filter 1 where packets may come in by one link and go out by another: on a host with several ways out, and on a
// bridge to whose
// containers the host has another route.
func (p *Picture) strict() (found []Finding) {
	host := p.Host.Own()
	uplinks := p.uplinks()
	for _, l := range host.Links {
		key := "ipv4/conf/" + l.Name + "/rp_filter"
		if max(p.sysctl(key), p.sysctl("ipv4/conf/all/rp_filter")) != "1" {
			continue
		}
		why := ""
		if len(uplinks) > 1 && slices.Contains(uplinks, l) {
			why = fmt.Sprintf("the host has %d ways out", len(uplinks))
		}
		for _, a := range p.bridges()[l.Name] {
			for _, ip := range addresses(a) { // what a bridge without addresses passes on, no filter of IP sees
				if other := p.way(ip); ip.Is4() && other != "" && other != l.Name && len(global(l)) > 0 {
					why = fmt.Sprintf("the host's route to %s (%s) goes by %s", ip, name(a), other)
				}
			}
		}
		if why != "" {
			found = append(found, Finding{Object: "link " + l.Name, What: fmt.Sprintf("rp_filter of %s is 1 (strict), and %s", l.Name, why),
				Remedy: "sysctl -w net/" + key + "=2, and net/ipv4/conf/all/rp_filter likewise"})
		}
	}
	return found
}

// way is the link of the host's longest route to the address.
func (p *Picture) way(a netip.Addr) string {
	best, link := -1, ""
	for _, r := range p.Host.Own().Routes {
		const local = 255
		if r.Table != local && r.Destination.Contains(a) && r.Destination.Bits() > best {
			best, link = r.Destination.Bits(), r.Link
		}
	}
	return link
}

func (p *Picture) bridgeNFOff() []Finding {
	if p.sysctl("bridge/bridge-nf-call-iptables") == "1" || len(p.bridges()) == 0 || p.Host.Own().Filter == nil {
		return nil
	}
	for _, t := range p.Host.Own().Filter.Tables {
		if t.Chain("KUBE-SERVICES") == nil || len(t.Chain("KUBE-SERVICES").Rules) == 0 {
			continue
		}
		what := "net/bridge/bridge-nf-call-iptables is 0"
		if p.sysctl("bridge/bridge-nf-call-iptables") == "" {
			what = "the module br_netfilter is not loaded"
		}
		return []Finding{{Object: "host", What: what + ", and services are translated by rules of IP (" + t.String() + ", chain KUBE-SERVICES)",
			Remedy: "modprobe br_netfilter; sysctl -w net.bridge.bridge-nf-call-iptables=1"}}
	}
	return nil
}
