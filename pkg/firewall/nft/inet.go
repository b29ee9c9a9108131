package nft

import (
	"net"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
)

// inet returns the table that translates addresses.
//
// The sets direct and near begin their keys with the container's address and not with its subnet, because networks may have one subnet,
// or one inside the other, and each container keeps the meaning of its own network.
func inet() *table {
	t := newTable(nftables.TableFamilyINet, firewall.Table, inetChains)
	t.needed = (*Filter).reliedOn
	ip4, ip6, none := nftables.TypeIPAddr, nftables.TypeIP6Addr, nftables.SetDatatype{}
	proto, port := nftables.TypeInetProto, nftables.TypeInetService
	t.owned("masq4", "address: masquerade what leaves its subnet", ip4, none)
	t.owned("masq6", "", ip6, none)
	t.ranges("direct4", "address . destination: never masqueraded", concat(ip4, ip4))
	t.ranges("direct6", "", concat(ip6, ip6))
	t.owned("dnat4", "protocol . host port : address . port", concat(proto, port), concat(ip4, port))
	t.owned("dnat6", "", concat(proto, port), concat(ip6, port))
	t.owned("dnat4ip", "host address . protocol . host port : address . port", concat(ip4, proto, port), concat(ip4, port))
	t.owned("dnat6ip", "", concat(ip6, proto, port), concat(ip6, port))
	t.owned("snat4", "published target: masquerade its own subnet and loopback", concat(ip4, proto, port), none)
	t.owned("snat6", "", concat(ip6, proto, port), none)
	t.ranges("near4", "published address . client in its subnet: masqueraded if the target is in snat4, or the answer would not pass the host", concat(ip4, ip4))
	t.ranges("near6", "", concat(ip6, ip6))
	t.owned("snatall4", "published target: masquerade all clients", concat(ip4, proto, port), none)
	t.owned("snatall6", "", concat(ip6, proto, port), none)
	return t
}

// inetChains appends the chains.
//
// Destinations are changed after priority -100, where kube-proxy and Docker do it: a host port must not come before a service
// (CVE-2019-9946). Sources are changed before 100, where the reference and kube-proxy end the traversal of their chains. On the hook
// output, nft 1.0.6 reads no name of a priority but a number.
//
// What is invalid to connection tracking (a segment after its connection was forgotten, say) passes no chain of the kind nat. The chain
// forward stops it, where it would leave with a container's private address.
func inetChains(t *table) {
	const raw, dstnat, filter, srcnat = -300, -100, 0, 100
	v4, v6 := ipv4(), ipv6()
	t.base("guard", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, raw, guard(v4, v6)...)
	local := when("fib daddr type local jump hostports", toUs(), jump("hostports"))
	t.base("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, dstnat+5, local)
	t.base("output", nftables.ChainTypeNAT, nftables.ChainHookOutput, dstnat+5, local)
	t.chain(conditionals)
	t.chain("hostports", slices.Concat([]rule{when("jump conditional", jump(conditionals))}, hostports(v4, "4", "ipv4"), hostports(v6, "6", "ipv6"))...)
	t.base("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, srcnat-5,
		when("ct status dnat jump published", translated(), jump("published")),
		when("ip saddr @masq4 jump egress4", v4.only(), load(v4.saddr()), in("masq4"), jump("egress4")),
		when("ip6 saddr @masq6 jump egress6", v6.only(), load(v6.saddr()), in("masq6"), jump("egress6")))
	t.chain("published",
		publishedTo(v4, "snatall4", "masquerade", masquerade()), publishedTo(v6, "snatall6", "masquerade", masquerade()),
		publishedTo(v4, "snat4", "jump hairpin", jump("hairpin")), publishedTo(v6, "snat6", "jump hairpin", jump("hairpin")))
	t.chain("hairpin", nearby(v4, "near4"),
		when("ip saddr 127.0.0.0/8 masquerade", v4.only(), loopback(v4.source), masquerade()),
		nearby(v6, "near6"),
		when("ip6 saddr ::1 masquerade", v6.only(), load(v6.saddr()), loopback6(), masquerade()))
	t.chain("egress4", append(direct(v4), when("masquerade", masquerade()))...)
	t.chain("egress6", append(direct(v6), when("masquerade", masquerade()))...)
	t.base("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, filter, when("ct state invalid jump stray", untrackable(), jump("stray")))
	t.chain("stray",
		when("ip saddr @masq4 jump stray4", v4.only(), load(v4.saddr()), in("masq4"), jump("stray4")),
		when("ip6 saddr @masq6 jump stray6", v6.only(), load(v6.saddr()), in("masq6"), jump("stray6")))
	t.chain("stray4", append(direct(v4), when("counter drop", drop()))...)
	t.chain("stray6", append(direct(v6), when("counter drop", drop()))...)
}

// direct lets what a container may send under its own address return to the caller: what goes to groups, to its own subnet, and to the
// destinations excepted.
func direct(f family) []rule {
	back := verdict(expr.VerdictReturn)
	set, groups := "direct4", when("ip daddr 224.0.0.0/4 return", f.only(), load(f.daddr()), masked(0xf0, 0, 0, 0), equal(0xe0, 0, 0, 0), back)
	if f.proto == unix.NFPROTO_IPV6 {
		highest := load(payload(expr.PayloadBaseNetworkHeader, f.dest, 1))
		set, groups = "direct6", when("ip6 daddr ff00::/8 return", f.only(), highest, equal(0xff), back)
	}
	return []rule{groups, when(f.name+" saddr . "+f.name+" daddr @"+set+" return", f.only(), load(f.saddr(), f.daddr()), in(set), back)}
}

// guard drops what claims to come from or go to the host's loopback but did not come by it. With route_localnet, which publishing on 127.0.0.1
// needs, a neighbour could otherwise reach services bound to it (CVE-2020-8558). The kernel drops such packets of IPv6 itself, but only after
// frames of a bridge have passed these chains (bridge-nf-call-ip6tables), in which ports published on ::1 would take them.
func guard(v4, v6 family) []rule {
	return []rule{
		when(`ip daddr 127.0.0.0/8 iif != "lo" counter drop`, v4.only(), loopback(v4.dest), foreign(), drop()),
		when(`ip saddr 127.0.0.0/8 iif != "lo" counter drop`, v4.only(), loopback(v4.source), foreign(), drop()),
		when(`ip6 daddr ::1 iif != "lo" counter drop`, v6.only(), load(v6.daddr()), loopback6(), foreign(), drop()),
		when(`ip6 saddr ::1 iif != "lo" counter drop`, v6.only(), load(v6.saddr()), loopback6(), foreign(), drop()),
	}
}

// loopback6 lets packets go on whose loaded address is ::1.
func loopback6() []expr.Any { return equal(net.IPv6loopback...) }

// loopback lets packets go on whose IPv4 address at the offset is in 127.0.0.0/8.
func loopback(offset uint32) []expr.Any {
	return append(load(payload(expr.PayloadBaseNetworkHeader, offset, 1)), equal(127)...)
}

// hostports returns the rules of the published ports of one family. The specific host address comes first, so that it wins.
func hostports(f family, suffix, name string) []rule {
	specific, wildcard := "dnat"+suffix+"ip", "dnat"+suffix
	return []rule{
		when("dnat "+f.name+" to "+f.name+" daddr . meta l4proto . th dport map @"+specific,
			f.only(), load(f.daddr(), l4proto(), dport()), f.translate(specific)),
		when("meta nfproto "+name+" dnat "+f.name+" to meta l4proto . th dport map @"+wildcard,
			f.only(), load(l4proto(), dport()), f.translate(wildcard)),
	}
}

func publishedTo(f family, set, text string, then []expr.Any) rule {
	return when(f.name+" daddr . meta l4proto . th dport @"+set+" "+text, f.only(), load(f.daddr(), l4proto(), dport()), in(set), then)
}

// nearby masquerades what a host port sends to a container from the container's own subnet.
func nearby(f family, set string) rule {
	return when(f.name+" daddr . "+f.name+" saddr @"+set+" masquerade", f.only(), load(f.daddr(), f.saddr()), in(set), masquerade())
}
