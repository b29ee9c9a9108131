package nft

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// bridge returns the table that looks at the frames of containers. The rules are there once; a port is one element a set.
func bridge() *table {
	t := newTable(nftables.TableFamilyBridge, bridgeChains)
	none := nftables.SetDatatype{}
	t.owned("port", "host link whose frames are looked at", nftables.TypeIFName, none)
	t.owned("mac", "host link . its container's address", concat(nftables.TypeIFName, nftables.TypeEtherAddr), none)
	return t
}

// bridgeChains appends the chains.
func bridgeChains(t *table) {
	t.chain("fromport",
		when("iifname . ether saddr != @mac drop", load(iifname(), etherFrom()), notIn("mac"), verdict(expr.VerdictDrop)))
	const first = -300 // before anybody else, as the reference's chain
	t.base("antispoof", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, first,
		when("iifname @port jump fromport", load(iifname()), in("port"), jump("fromport")))
}
