package nft

import (
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// conditionals is the chain of the ports that are published under conditions: one rule each instead of an element of a map, with the owner in
// its comment. They are looked at before all others, in the order in which they came. To delete a rule, other than an element, costs a
// grace period.
const conditionals = "conditional"

// conditional adds a rule for a port that has conditions.
func (w *want) conditional(p firewall.Port, name string) {
	f := ipv4()
	if p.Target.Addr().Is6() {
		f = ipv6()
	}
	conditions := slices.Clone(p.Conditions)
	if p.HostIP.IsValid() && !p.HostIP.IsUnspecified() {
		conditions = append(conditions, firewall.Condition{Destination: netip.PrefixFrom(p.HostIP, p.HostIP.BitLen())})
	}
	// nft(8) asks for the family just before the first address, and we write what it would: a table that it restored is as we made it.
	var parts [][]expr.Any
	asked := slices.IndexFunc(conditions, func(c firewall.Condition) bool { return c.Source.IsValid() || c.Destination.IsValid() })
	for i, c := range conditions {
		if i == max(asked, 0) {
			parts = append(parts, f.only())
		}
		parts = append(parts, f.meets(c))
	}
	w.rules = append(w.rules, when(name+" under conditions", append(parts, f.leads(p)...)...))
}

// leads is the end of each conditional rule: protocol and port, and where they lead.
func (f family) leads(p firewall.Port) [][]expr.Any {
	return [][]expr.Any{
		load(l4proto()), equal(p.Protocol), load(dport()), equal(binary.BigEndian.AppendUint16(nil, p.HostPort)...), {
			&expr.Immediate{Register: unix.NFT_REG_1, Data: p.Target.Addr().AsSlice()},
			&expr.Immediate{Register: unix.NFT_REG_2, Data: binary.BigEndian.AppendUint16(nil, p.Target.Port())},
			&expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(f.proto), RegAddrMin: unix.NFT_REG_1, RegAddrMax: unix.NFT_REG_1,
				RegProtoMin: unix.NFT_REG_2, RegProtoMax: unix.NFT_REG_2, Specified: true},
		},
	}
}

// ledBy reads the port that a conditional rule leads, from the end of its expressions; false for a rule that is none.
func ledBy(exprs []expr.Any) (p firewall.Port, ok bool) {
	const protocolAt, portAt, addrAt, targetAt = 6, 4, 3, 2 // from the end
	n := len(exprs)
	if n < 7 {
		return p, false
	}
	protocol, ok1 := exprs[n-protocolAt].(*expr.Cmp)
	port, ok2 := exprs[n-portAt].(*expr.Cmp)
	addr, ok3 := exprs[n-addrAt].(*expr.Immediate)
	target, ok4 := exprs[n-targetAt].(*expr.Immediate)
	if !ok1 || !ok2 || !ok3 || !ok4 || len(protocol.Data) != 1 || len(port.Data) != 2 || len(target.Data) != 2 {
		return p, false
	}
	to, ok := netip.AddrFromSlice(addr.Data)
	p.Protocol, p.HostPort = protocol.Data[0], binary.BigEndian.Uint16(port.Data)
	p.Target = netip.AddrPortFrom(to, binary.BigEndian.Uint16(target.Data))
	return p, ok
}

// meets lets packets go on that meet the condition.
func (f family) meets(c firewall.Condition) []expr.Any {
	op := expr.CmpOpEq
	if c.Not {
		op = expr.CmpOpNeq
	}
	switch {
	case c.Link != "":
		return append(load(iifname()), compare(op, linkName(c.Link))...)
	case c.Source.IsValid():
		return subnet(f.saddr(), op, c.Source)
	case c.Destination.IsValid():
		return subnet(f.daddr(), op, c.Destination)
	}
	list := load(meta(expr.MetaKeyMARK, 4))
	if c.Mark.Mask != math.MaxUint32 {
		list = append(list, masked(native(c.Mark.Mask)...)...)
	}
	return append(list, compare(op, native(c.Mark.Value))...)
}

// linkName is a name as the kernel compares it: with the zeros after it or, where it ends in +, without.
func linkName(name string) []byte {
	if start, found := strings.CutSuffix(name, "+"); found {
		return []byte(start)
	}
	return append([]byte(name), make([]byte, unix.IFNAMSIZ-len(name))...)
}

// subnet compares as much of an address as the prefix says: its bytes where they are whole, as nft(8) does, else its bits.
func subnet(addr field, op expr.CmpOp, p netip.Prefix) []expr.Any {
	value := p.Addr().AsSlice()
	if p.Bits()%8 == 0 && p.Bits() > 0 {
		list := load(addr)
		list[0].(*expr.Payload).Len = uint32(p.Bits() / 8)
		return append(list, compare(op, value[:p.Bits()/8])...)
	}
	mask := last(p).AsSlice()
	for i, b := range value {
		mask[i] = ^(mask[i] ^ b)
	}
	return slices.Concat(load(addr), masked(mask...), compare(op, value))
}

// conditionalRules returns the rules of the chain that carry a tag of ours; none where there is no chain.
func (f *Filter) conditionalRules(t *table) (ours []*nftables.Rule, foreign int, err error) {
	if t.Family != nftables.TableFamilyINet {
		return nil, 0, nil
	}
	all, err := f.conn.GetRules(t.Table, &nftables.Chain{Name: conditionals, Table: t.Table})
	if errors.Is(err, unix.ENOENT) {
		return nil, 0, nil
	}
	for _, r := range all {
		if _, tagged := ruleOwner(r); tagged {
			ours = append(ours, r)
		}
	}
	return ours, len(all) - len(ours), err
}

func ruleOwner(r *nftables.Rule) (owner.Owner, bool) {
	tag, _ := userdata.GetString(r.UserData, userdata.TypeComment)
	return owner.Parse(tag)
}

// rulesOf returns the conditional rules of the want's owner.
func (f *Filter) rulesOf(w *want) ([]*nftables.Rule, error) {
	if w.role != firewall.Publish {
		return nil, nil
	}
	all, _, err := f.conditionalRules(w.table)
	return slices.DeleteFunc(all, func(r *nftables.Rule) bool {
		o, _ := ruleOwner(r)
		return o.ID != w.owner.ID
	}), err
}

// match pairs the rules wanted with those found, and returns what is missing and what is too much.
func (w *want) match(found []*nftables.Rule) (missing []rule, more []*nftables.Rule, err error) {
	more = slices.Clone(found)
	for _, r := range w.rules {
		i := slices.IndexFunc(more, func(other *nftables.Rule) bool {
			same, failed := sameRule(byte(w.table.Family), r.exprs, other.Exprs)
			err = errors.Join(err, failed)
			return same
		})
		if i < 0 {
			missing = append(missing, r)
		} else {
			more = slices.Delete(more, i, i+1)
		}
	}
	return missing, more, err
}

// addRule appends a rule of the owner's to the chain.
func (w *want) addRule(r rule) change { return appendRule(w.dressed(r)) }

// dressed is a rule of the owner's as the chain has it.
func (w *want) dressed(r rule) *nftables.Rule {
	tag := userdata.AppendString(nil, userdata.TypeComment, w.owner.Tag(owner.CommentRoom))
	return &nftables.Rule{Table: w.table.Table, Chain: &nftables.Chain{Name: conditionals, Table: w.table.Table}, Exprs: r.exprs, UserData: tag}
}

func appendRule(r *nftables.Rule) change {
	return func(c *nftables.Conn) error { c.AddRule(r); return nil }
}

func removeRule(r *nftables.Rule) change {
	return func(c *nftables.Conn) error { return c.DelRule(r) }
}
