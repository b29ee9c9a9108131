package nft

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
)

// guests is the chain that leads to those of the operator's that a configuration names in place of firewall.AdminChain.
const guests = "guests"

// written is the operator's chain of that name as nft can write it. What begins with no letter, or has other signs than names have there, cannot be written, and what
// has no capital letter may be a word of nft's own, or a chain of ours: such a name has an underscore before it, and one in place of each such sign.
func written(name string) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	plain := strings.Map(func(r rune) rune {
		if strings.ContainsRune(letters+"0123456789-_./", r) {
			return r
		}
		return '_'
	}, name)
	if plain == name && (name == "" || strings.Contains(letters, name[:1]) && strings.ToLower(name) != name) {
		return name
	}
	return "_" + plain
}

// forward returns the table by which containers' traffic passes the host, and bridges are kept from each other.
//
// No accept of ours overrides what another table drops. So what may pass is given a mark, which a rule in the chain that drops accepts (see
// anchor.go); the mark lives from this chain to the one after it alone.
func forward() *table {
	t := newTable(nftables.TableFamilyINet, firewall.ForwardTable, forwardChains)
	t.guests, t.needed = true, (*Filter).advised
	ip4, ip6, name, none := nftables.TypeIPAddr, nftables.TypeIP6Addr, nftables.TypeIFName, nftables.SetDatatype{}
	t.owned("pass4", "address: its traffic passes the host", ip4, none)
	t.owned("pass6", "", ip6, none)
	t.shared("isolated", "link: nothing passes from it to another of these", name)
	t.shared("within", "link . link: but this does", concat(name, name))
	return t
}

// forwardChains appends the chains. Isolation comes first, as in the reference: no rule of the operator's opens it.
//
// The mark is on while the operator's chains are asked, so that what these accept passes whatever drops later; a mark that somebody else has put
// there is none.
func forwardChains(t *table) {
	const filter = 0
	v4, v6 := ipv4(), ipv6()
	t.chain(firewall.AdminChain)
	t.chain(guests)
	t.chain("admin", when("meta mark set meta mark | 0x01000000", setMark(true)), when("jump "+firewall.AdminChain, jump(firewall.AdminChain)),
		when("jump "+guests, jump(guests)), when("meta mark set meta mark & 0xfeffffff", setMark(false)))
	t.chain("pass", when("meta mark set meta mark | 0x01000000 accept", setMark(true), verdict(expr.VerdictAccept)))
	t.base("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, filter-10,
		when("iifname @isolated oifname @isolated iifname . oifname != @within counter drop", load(iifname()), in("isolated"), load(oifname()), in("isolated"),
			load(iifname(), oifname()), notIn("within"), drop()),
		when("jump admin", jump("admin")),
		when("ip saddr @pass4 jump pass", v4.only(), load(v4.saddr()), in("pass4"), jump("pass")),
		when("ip6 saddr @pass6 jump pass", v6.only(), load(v6.saddr()), in("pass6"), jump("pass")),
		when("ct state established,related ip daddr @pass4 jump pass", known(), v4.only(), load(v4.daddr()), in("pass4"), jump("pass")),
		when("ct state established,related ip6 daddr @pass6 jump pass", known(), v6.only(), load(v6.daddr()), in("pass6"), jump("pass")),
		when("ct status dnat ip daddr @pass4 jump pass", translated(), v4.only(), load(v4.daddr()), in("pass4"), jump("pass")),
		when("ct status dnat ip6 daddr @pass6 jump pass", translated(), v6.only(), load(v6.daddr()), in("pass6"), jump("pass")))
	t.base("unmark", nftables.ChainTypeFilter, nftables.ChainHookForward, filter+20,
		when("meta mark & 0x01000000 == 0x01000000 meta mark set meta mark & 0xfeffffff", marked(), setMark(false)))
}

// apart returns the table that keeps ports of one bridge from each other: nothing that is not routed passes the chains of the family inet, but where
// bridge-nf-call-iptables is on.
func apart() *table {
	t := newTable(nftables.TableFamilyBridge, firewall.ForwardTable, apartChains)
	t.owned("alone", "port that exchanges no frames with others", nftables.TypeIFName, nftables.SetDatatype{})
	return t
}

func apartChains(t *table) {
	const filter = -200
	t.base("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, filter,
		when("iifname @alone counter drop", load(iifname()), in("alone"), drop()),
		when("oifname @alone counter drop", load(oifname()), in("alone"), drop()))
}

// pass adds one address whose traffic passes.
func (w *want) pass(a netip.Addr) error {
	if err := usable(a); err != nil {
		return fmt.Errorf("address: %w", err)
	}
	if !w.add(entry{set: w.table.set(pick(a, "pass4", "pass6")), key: a.AsSlice(), title: "address that passes, " + a.String()}) {
		return fmt.Errorf("address %s: listed twice", a)
	}
	return nil
}

// alone adds one port that exchanges no frames with others.
func (w *want) alone(link string) error {
	if link == "" || len(link) >= unix.IFNAMSIZ {
		return fmt.Errorf("link %q: must be the name of one", link)
	}
	if !w.add(entry{set: w.table.set("alone"), key: fullName(link), title: "isolated port " + link}) {
		return fmt.Errorf("link %s: listed twice", link)
	}
	return nil
}
