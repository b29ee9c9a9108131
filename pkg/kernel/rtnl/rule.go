package rtnl

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sort"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Rule is a rule of policy routing, fib_rules(7). What it does not ask for is zero.
type Rule struct {
	Family     uint8
	Priority   uint32
	Table      uint32
	Kind       uint8 // RTN_UNICAST: look the table up; RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT; others
	Invert     bool
	From, To   netip.Prefix
	In, Out    string // links
	Mark, Mask uint32
	Protocol   uint8 // of the packets
	Maker      uint8 // who made it (FRA_PROTOCOL): RTPROT_*, or a Proto of ours
	Source     Ports
	Target     Ports
	Other      bool // it asks for more than is read
}

// Ports is a range of ports, both ends in it; 0 for all.
type Ports struct{ Low, Top uint16 }

// Discards says whether the rule throws packets away, and how.
func (r Rule) Discards() (how string, does bool) {
	how, does = map[uint8]string{unix.RTN_BLACKHOLE: "blackhole", unix.RTN_UNREACHABLE: "unreachable", unix.RTN_PROHIBIT: "prohibit"}[r.Kind]
	return how, does
}

// String is the rule in the words of ip-rule(8).
func (r Rule) String() string {
	var b strings.Builder
	b.WriteString(map[bool]string{true: "not "}[r.Invert] + "from " + prefixText(r.From))
	if r.To.IsValid() {
		b.WriteString(" to " + prefixText(r.To))
	}
	if r.Mark|r.Mask != 0 {
		fmt.Fprintf(&b, " fwmark %#x/%#x", r.Mark, r.Mask)
	}
	for word, link := range map[string]string{" iif ": r.In, " oif ": r.Out} {
		if link != "" {
			b.WriteString(word + link)
		}
	}
	if r.Protocol != 0 {
		fmt.Fprintf(&b, " ipproto %d", r.Protocol)
	}
	if how, does := r.Discards(); does {
		return b.String() + " " + how
	}
	table := fmt.Sprint(r.Table)
	return b.String() + " lookup " + cmp.Or(map[uint32]string{unix.RT_TABLE_MAIN: "main", unix.RT_TABLE_LOCAL: "local", unix.RT_TABLE_DEFAULT: "default"}[r.Table], table)
}

func prefixText(p netip.Prefix) string {
	switch {
	case !p.IsValid():
		return "all"
	case p.IsSingleIP():
		return p.Addr().String()
	}
	return p.String()
}

// Rules reads the rules of both families, in the order of their priorities. A kernel without policy routing says EOPNOTSUPP.
func (c *Conn) Rules() ([]Rule, error) {
	q := Request(unix.RTM_GETRULE, unix.NLM_F_DUMP)
	q.AddData(&nl.RtMsg{})
	bodies, err := c.Read(q)
	if err != nil {
		return nil, err
	}
	var list []Rule
	for _, body := range bodies {
		if len(body) < unix.SizeofRtMsg {
			continue
		}
		header := nl.DeserializeRtMsg(body)
		attrs, err := nl.ParseRouteAttr(body[unix.SizeofRtMsg:])
		if err != nil {
			return nil, err
		}
		r := Rule{Family: header.Family, Table: uint32(header.Table), Kind: header.Type, Invert: header.Flags&fibRuleInvert != 0, Other: header.Tos != 0}
		for _, a := range attrs {
			r.take(int(a.Attr.Type), a.Value, header)
		}
		list = append(list, r)
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].Priority < list[j].Priority })
	return list, nil
}

const fibRuleInvert = 2 // FIB_RULE_INVERT

func (r *Rule) take(kind int, value []byte, header *nl.RtMsg) {
	number := func() uint32 {
		if len(value) < 4 {
			return 0
		}
		return binary.NativeEndian.Uint32(value)
	}
	switch kind {
	case nl.FRA_SRC:
		r.From = prefixOf(value, header.Src_len)
	case nl.FRA_DST:
		r.To = prefixOf(value, header.Dst_len)
	case nl.FRA_IIFNAME:
		r.In = strings.TrimRight(string(value), "\x00")
	case nl.FRA_OIFNAME:
		r.Out = strings.TrimRight(string(value), "\x00")
	case nl.FRA_PRIORITY:
		r.Priority = number()
	case nl.FRA_FWMARK:
		r.Mark = number()
	case nl.FRA_FWMASK:
		r.Mask = number()
	case nl.FRA_TABLE:
		r.Table = number()
	case nl.FRA_PROTOCOL:
		r.Maker = value[0]
	case nl.FRA_IP_PROTO:
		r.Protocol = value[0]
	case nl.FRA_SPORT_RANGE:
		r.Source = portsOf(value)
	case nl.FRA_DPORT_RANGE:
		r.Target = portsOf(value)
	case nl.FRA_UID_RANGE, nl.FRA_L3MDEV, nl.FRA_TUN_ID:
		r.Other = true
	}
}

func prefixOf(value []byte, bits uint8) netip.Prefix {
	a, _ := netip.AddrFromSlice(value)
	return netip.PrefixFrom(a, int(bits))
}

func portsOf(value []byte) (p Ports) {
	if len(value) == 4 {
		p = Ports{binary.NativeEndian.Uint16(value), binary.NativeEndian.Uint16(value[2:])}
	}
	return p
}
