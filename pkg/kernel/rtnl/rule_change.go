package rtnl

import (
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// ProtoLed marks, as Proto does, what leads into a table that somebody else filled; ProtoHinted what leads into one of ours beside whose routes main keeps some.
const (
	ProtoLed    = Proto + 1
	ProtoHinted = Proto + 2
)

// Plain says whether the rule asks for nothing but where a packet is from, one address, and leads to a table.
func (r Rule) Plain() bool { return r.From.IsSingleIP() && r.Sourced() }

// Sourced says whether the rule asks for nothing but where a packet is from, and leads to a table.
func (r Rule) Sourced() bool {
	return r.Kind == unix.RTN_UNICAST && r.From.IsValid() && r.Table != 0 &&
		r == Rule{Family: r.Family, Priority: r.Priority, Table: r.Table, Kind: r.Kind, From: r.From, Maker: r.Maker}
}

// NewRule returns the request that adds a Sourced rule. Without a priority it comes before all others but the first, which is the kernel's.
func NewRule(r Rule) *nl.NetlinkRequest {
	return r.request(unix.RTM_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
}

// DelRule returns the request that removes a Sourced rule.
func DelRule(r Rule) *nl.NetlinkRequest { return r.request(unix.RTM_DELRULE, 0) }

func (r Rule) request(kind, flags int) *nl.NetlinkRequest {
	q := Request(kind, flags)
	q.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(family(r.From.Addr())), Src_len: uint8(r.From.Bits()), Type: r.Kind}})
	q.AddData(nl.NewRtAttr(nl.FRA_SRC, r.From.Addr().AsSlice()))
	q.AddData(nl.NewRtAttr(nl.FRA_TABLE, nl.Uint32Attr(r.Table)))
	number(q, nl.FRA_PRIORITY, r.Priority)
	q.AddData(nl.NewRtAttr(nl.FRA_PROTOCOL, []byte{r.Maker}))
	return q
}
