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
		when("iifname . ether saddr != @mac counter drop", load(iifname(), etherFrom()), notIn("mac"), drop()))
	t.chain("ipv6router", control(134), control(137)) // a router's advertisement, a redirect
	t.chain("ipv4router", control(5))                 // a redirect
	t.chain("tagged",
		when("@nh,0,16 & 0xfff == 0x0 counter drop", load(payload(expr.PayloadBaseNetworkHeader, 0, 2)), masked(0x0f, 0xff), equal(0, 0), drop()))
	t.chain("advertised",
		when("meta l4proto ipv6-icmp jump ipv6router", load(l4proto()), equal(unix.IPPROTO_ICMPV6), jump("ipv6router")),
		when("meta l4proto icmp jump ipv4router", load(l4proto()), equal(unix.IPPROTO_ICMP), jump("ipv4router")),
		again("8021q", unix.ETH_P_8021Q), again("8021ad", unix.ETH_P_8021AD))
	const first = -300 // before anybody else, as the reference's chain
	t.base("antispoof", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, first,
		when(fmt.Sprintf("iifgroup %d jump advertised", firewall.Guarded),
			load(meta(expr.MetaKeyIIFGROUP, 4)), equal(native(firewall.Guarded)...), jump("advertised")),
		when("iifname @port jump fromport", load(iifname()), in("port"), jump("fromport")))
}

// control drops the messages of one type, of the protocol that was looked at before. What nft(8) makes of `icmpv6 type` looks at the frame's type too,
// which is another where it has a tag of a VLAN; so does a neighbour that has no VLAN look at what is tagged with number 0.
func control(kind byte) rule {
	return when(fmt.Sprintf("@th,0,8 %#x counter drop", kind), load(payload(expr.PayloadBaseTransportHeader, 0, 1)), equal(kind), drop())
}

// again looks at a frame that has a tag below the first one, which the kernel has taken off. Below tags that number no VLAN whoever gets the frame
// finds what the host did not look at; nobody has a use for them.
func again(text string, ether uint16) rule {
	return when(fmt.Sprintf("meta protocol %s jump tagged", text),
		load(meta(expr.MetaKeyPROTOCOL, 2)), equal(binary.BigEndian.AppendUint16(nil, ether)...), jump("tagged"))
}
