package nft

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// inet returns the table that translates addresses. Its sets local have two jobs: what stays inside is not masqueraded on its way
// out, and must be masqueraded when it was sent by a host port, so that the answer passes the host again.
func inet() *table {
	t := newTable(nftables.TableFamilyINet, inetChains)
	ip4, ip6, none := nftables.TypeIPAddr, nftables.TypeIP6Addr, nftables.SetDatatype{}
	proto, port := nftables.TypeInetProto, nftables.TypeInetService
	t.owned("masq4", "address: masquerade what leaves its subnet", ip4, none)
	t.owned("masq6", "", ip6, none)
	t.shared("local4", "subnet . destination: never masqueraded", concat(ip4, ip4))
	t.shared("local6", "", concat(ip6, ip6))
	t.owned("dnat4", "protocol . host port : address . port", concat(proto, port), concat(ip4, port))
	t.owned("dnat6", "", concat(proto, port), concat(ip6, port))
	t.owned("dnat4ip", "host address . protocol . host port : address . port", concat(ip4, proto, port), concat(ip4, port))
	t.owned("dnat6ip", "", concat(ip6, proto, port), concat(ip6, port))
	t.owned("snat4", "published target: masquerade its own subnet and loopback", concat(ip4, proto, port), none)
	t.owned("snat6", "", concat(ip6, proto, port), none)
	t.owned("snatall4", "published target: masquerade all clients", concat(ip4, proto, port), none)
	t.owned("snatall6", "", concat(ip6, proto, port), none)
	return t
}

// inetChains appends the chains.
//
// Destinations are changed after priority -100, where kube-proxy and Docker do it: a host port must not come before a service
// (CVE-2019-9946). Sources are changed before 100, where the reference and kube-proxy end the traversal of their chains. On the hook
// output, nft 1.0.6 reads no name of a priority but a number.
func inetChains(t *table) {
	const raw, dstnat, srcnat = -300, -100, 100
	v4, v6 := ipv4(), ipv6()
	t.base("guard", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, raw, guard(v4)...)
	local := when("fib daddr type local jump hostports", toUs(), jump("hostports"))
	t.base("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, dstnat+5, local)
	t.base("output", nftables.ChainTypeNAT, nftables.ChainHookOutput, dstnat+5, local)
	t.chain("hostports", append(hostports(v4, "4", "ipv4"), hostports(v6, "6", "ipv6")...)...)
	t.base("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, srcnat-5,
		when("ct status dnat jump published", translated(), jump("published")),
		when("ip saddr @masq4 jump egress4", v4.only(), load(v4.saddr()), in("masq4"), jump("egress4")),
		when("ip6 saddr @masq6 jump egress6", v6.only(), load(v6.saddr()), in("masq6"), jump("egress6")))
	t.chain("published",
		publishedTo(v4, "snatall4", "masquerade", masquerade()), publishedTo(v6, "snatall6", "masquerade", masquerade()),
		publishedTo(v4, "snat4", "jump hairpin", jump("hairpin")), publishedTo(v6, "snat6", "jump hairpin", jump("hairpin")))
	t.chain("hairpin",
		staysInside(v4, "local4", "masquerade", masquerade()),
		when("ip saddr 127.0.0.0/8 masquerade", v4.only(), loopback(v4.source), masquerade()),
		staysInside(v6, "local6", "masquerade", masquerade()),
		when("ip6 saddr ::1 masquerade", v6.only(), load(v6.saddr()), equal(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), masquerade()))
	back := verdict(expr.VerdictReturn)
	t.chain("egress4",
		when("ip daddr 224.0.0.0/4 return", v4.only(), load(v4.daddr()), masked(0xf0, 0, 0, 0), equal(0xe0, 0, 0, 0), back),
		staysInside(v4, "local4", "return", back), when("masquerade", masquerade()))
	multicast := load(payload(expr.PayloadBaseNetworkHeader, v6.dest, 1))
	t.chain("egress6",
		when("ip6 daddr ff00::/8 return", v6.only(), multicast, equal(0xff), back),
		staysInside(v6, "local6", "return", back), when("masquerade", masquerade()))
}

// guard drops what claims to come from or go to the host's loopback but did not come by it. With route_localnet, which publishing on 127.0.0.1
// needs, a neighbour could otherwise reach services bound to it (CVE-2020-8558). IPv6 has no such setting.
func guard(f family) []rule {
	drop := verdict(expr.VerdictDrop)
	return []rule{
		when(`ip daddr 127.0.0.0/8 iif != "lo" drop`, f.only(), loopback(f.dest), foreign(), drop),
		when(`ip saddr 127.0.0.0/8 iif != "lo" drop`, f.only(), loopback(f.source), foreign(), drop),
	}
}

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

func staysInside(f family, set, text string, then []expr.Any) rule {
	return when(f.name+" saddr . "+f.name+" daddr @"+set+" "+text, f.only(), load(f.saddr(), f.daddr()), in(set), then)
}
