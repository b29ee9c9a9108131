package nft

import (
	"encoding/binary"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
)

// bridge returns the table that looks at the frames of containers. The rules are there once; a port is one element a set.
func bridge() *table {
	t := newTable(nftables.TableFamilyBridge, firewall.Table, bridgeChains)
	t.needed = (*Filter).guards
	none := nftables.SetDatatype{}
	t.owned("port", "host link whose frames are looked at", nftables.TypeIFName, none)
	t.owned("mac", "host link . its container's address", concat(nftables.TypeIFName, nftables.TypeEtherAddr), none)
	return t
}

// bridgeChains appends the chains.
//
// Which router its neighbours use is no container's to say, where the host is their gateway: what tells it is dropped at the ports of the group Guarded. Others'
// ports, of which one may lead to the network's own router, are left alone.
func bridgeChains(t *table) {
	t.chain("fromport",
		when("iifname . ether saddr != @mac drop", load(iifname(), etherFrom()), notIn("mac"), verdict(expr.VerdictDrop)))
	t.chain("advertised",
		control("icmpv6 type nd-router-advert drop", unix.ETH_P_IPV6, unix.IPPROTO_ICMPV6, 134),
		control("icmpv6 type nd-redirect drop", unix.ETH_P_IPV6, unix.IPPROTO_ICMPV6, 137),
		control("icmp type redirect drop", unix.ETH_P_IP, unix.IPPROTO_ICMP, 5))
	const first = -300 // before anybody else, as the reference's chain
	t.base("antispoof", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, first,
		when(fmt.Sprintf("iifgroup %d jump advertised", firewall.Guarded),
			load(meta(expr.MetaKeyIIFGROUP, 4)), equal(native(firewall.Guarded)...), jump("advertised")),
		when("iifname @port jump fromport", load(iifname()), in("port"), jump("fromport")))
}

// control drops the messages of one type of a protocol's own, in frames without a VLAN's tag.
func control(text string, ether uint16, protocol, kind byte) rule {
	return when(text, load(payload(expr.PayloadBaseLLHeader, 12, 2)), equal(binary.BigEndian.AppendUint16(nil, ether)...),
		load(l4proto()), equal(protocol), load(payload(expr.PayloadBaseTransportHeader, 0, 1)), equal(kind), verdict(expr.VerdictDrop))
}
