package reference

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/nftconn"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Held says which of the rules are missing that the reference makes for such a claim, be they the owner's or those that lead to them. made is false
// where nothing is there that it made for the owner.
func Held(open Connector, o owner.Owner, c firewall.Claim) (missing []string, made bool, err error) {
	n, whole := namesOf(o)
	if !whole {
		return nil, false, nil
	}
	conn, err := open()
	if err != nil {
		return nil, false, nil // no nf_tables
	}
	l := look{names: n, conn: conn}
	if l.tables, err = conn.ListTables(); err != nil {
		return nil, false, without(err)
	}
	switch c.Role {
	case firewall.Masquerade:
		l.masquerade(c.Masq)
	case firewall.Publish:
		l.publish(c.Ports)
	case firewall.Antispoof:
		l.antispoof(c.Spoof)
	}
	return l.missing, l.made, l.err
}

// look is one comparison.
type look struct {
	names
	conn    *nftconn.Conn
	tables  []*nftables.Table
	missing []string
	made    bool
	err     error
}

// rules reads a chain; one that is not there has none.
func (l *look) rules(family nftables.TableFamily, table, chain string) (list []rule) {
	at := slices.IndexFunc(l.tables, func(t *nftables.Table) bool { return t.Family == family && t.Name == table })
	if at < 0 {
		return nil
	}
	found, err := l.conn.GetRules(l.tables[at], &nftables.Chain{Name: chain, Table: l.tables[at]})
	if err != nil && !missing(err) {
		l.err = err
	}
	for _, r := range found {
		list = append(list, read(r))
	}
	return list
}

// own reads those of a chain's rules that are the owner's, by their comments.
func (l *look) own(family nftables.TableFamily, table, chain string, wanted func(comment string) bool) []rule {
	list := slices.DeleteFunc(l.rules(family, table, chain), func(r rule) bool { return !wanted(r.comment) })
	l.made = l.made || len(list) > 0
	return list
}

// want notes the rule as missing, in the words of nft(8), unless one of the list does the same.
func (l *look) want(chain, text string, list []rule, like rule) {
	if !slices.ContainsFunc(list, like.is) {
		l.lacks(chain, text)
	}
}

func (l *look) lacks(chain, text string) {
	if line := fmt.Sprintf("chain %s: expected %q, found none", chain, text); !slices.Contains(l.missing, line) {
		l.missing = append(l.missing, line)
	}
}

// is says whether another does the same. Comments do not matter, nor what leads to a chain under conditions.
func (r rule) is(o rule) bool {
	o.comment = ""
	return o == r
}

func (l *look) masquerade(list []firewall.Masq) {
	const table = "cni_plugins_masquerade"
	own := l.own(nftables.TableFamilyINet, table, "masq_checks", l.isMasq)
	for _, m := range list {
		like := rule{from: single(m.Addr), notTo: m.Subnet, does: "masquerade"}
		if m.Subnet.Bits() == 0 {
			like.notTo = netip.Prefix{}
		}
		f := familyOf(m.Addr)
		l.want(table+" masq_checks", fmt.Sprintf("%s saddr %s %[1]s daddr != %[3]s masquerade", f.word, m.Addr, m.Subnet), own, like)
	}
	lead := l.rules(nftables.TableFamilyINet, table, "postrouting")
	l.want(table+" postrouting", "ip daddr 224.0.0.0/4 return", lead, rule{to: netip.MustParsePrefix("224.0.0.0/4"), does: "return"})
	l.want(table+" postrouting", "ip6 daddr ff00::/8 return", lead, rule{to: netip.MustParsePrefix("ff00::/8"), does: "return"})
	l.want(table+" postrouting", "goto masq_checks", lead, rule{does: "goto masq_checks"})
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// family is how the reference and nft(8) name one.
type family struct {
	nftables.TableFamily
	word      string
	all       string
	localhost netip.Addr // zero: it opens none
}

func familyOf(a netip.Addr) family {
	if a.Is4() {
		return family{nftables.TableFamilyIPv4, "ip", "0.0.0.0/0", netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	return family{nftables.TableFamilyIPv6, "ip6", "::/0", netip.Addr{}}
}

func (l *look) publish(ports []firewall.Port) {
	for _, is4 := range []bool{true, false} {
		some := slices.DeleteFunc(slices.Clone(ports), func(p firewall.Port) bool { return p.Target.Addr().Is4() != is4 })
		if len(some) > 0 {
			l.publishIn(familyOf(some[0].Target.Addr()), some)
		}
	}
}

func (l *look) publishIn(f family, ports []firewall.Port) {
	const table = "cni_hostport"
	name := f.word + " " + table + " "
	own := make(map[string][]rule) // by chain; the first is of older versions, for ports of one address
	for _, chain := range []string{"hostip_hostports", "hostports"} {
		own[chain] = l.own(f.TableFamily, table, chain, l.isContainer)
	}
	led := l.rules(f.TableFamily, table, "hostports_all")
	for _, p := range ports {
		chain := "hostports"
		if slices.ContainsFunc(own["hostip_hostports"], translating(p).is) {
			chain = "hostip_hostports"
		}
		text := fmt.Sprintf("%s dport %d dnat to %s", firewall.ProtocolName(p.Protocol), p.HostPort, p.Target)
		if r := translating(p); r.to.IsValid() {
			text = fmt.Sprintf("%s daddr %s %s", f.word, r.to.Addr(), text)
		}
		l.want(name+chain, text, own[chain], translating(p))
		l.want(name+"hostports_all", "jump "+chain, led, rule{does: "jump " + chain})
	}
	l.masquerading(f, ports)
	for _, chain := range []string{"prerouting", "output"} { // maybe under conditions, which are those of who came last
		leads := func(r rule) bool { return r.does == "jump hostports_all" }
		if !slices.ContainsFunc(l.rules(f.TableFamily, table, chain), leads) {
			l.lacks(name+chain, "fib daddr type local jump hostports_all")
		}
	}
}

// isContainer says whether a comment is the container's ID: that of all rules of its ports.
func (l *look) isContainer(comment string) bool { return comment == l.container }

// translating is the rule of a port.
func translating(p firewall.Port) rule {
	r := rule{protocol: p.Protocol, port: p.HostPort, does: "dnat", target: p.Target}
	if p.HostIP.IsValid() && !p.HostIP.IsUnspecified() {
		r.to = single(p.HostIP)
	}
	return r
}

// masquerading wants the clients masqueraded who need it. Until 1.9 it did not know of those who are to be masqueraded all.
func (l *look) masquerading(f family, ports []firewall.Port) {
	const table, chain = "cni_hostport", "masquerading"
	to := single(ports[0].Target.Addr())
	if ports[0].SNAT == firewall.SNATNone {
		return
	}
	own := l.own(f.TableFamily, table, chain, l.isContainer)
	own = slices.DeleteFunc(own, func(r rule) bool { return r.to != to })
	if all := (rule{to: to, does: "masquerade"}); ports[0].SNAT == firewall.SNATAll && (len(own) == 0 || slices.ContainsFunc(own, all.is)) {
		l.want(f.word+" "+table+" "+chain, fmt.Sprintf("%s saddr %s %[1]s daddr %[3]s masquerade", f.word, f.all, to.Addr()), own, all)
		return
	}
	sources := []netip.Addr{to.Addr()}
	if f.localhost.IsValid() {
		sources = append(sources, f.localhost)
	}
	for _, from := range sources {
		text := fmt.Sprintf("%s saddr %s %[1]s daddr %[3]s masquerade", f.word, from, to.Addr())
		l.want(f.word+" "+table+" "+chain, text, own, rule{from: single(from), to: to, does: "masquerade"})
	}
}

func (l *look) antispoof(list []firewall.Spoof) {
	name := l.container + "-" + l.ifName
	chain := "cni-br-iface-" + name
	mine := func(comment string) bool { return comment == "macspoofchk-"+name }
	in := func(chain string) []rule { return l.own(nftables.TableFamilyBridge, "nat", chain, mine) }
	for _, s := range list {
		l.want("nat PREROUTING", fmt.Sprintf("iifname %s jump %s", s.Link, chain), in("PREROUTING"), rule{link: s.Link, does: "jump " + chain})
		l.want("nat "+chain, "jump "+chain+"-mac", in(chain), rule{does: "jump " + chain + "-mac"})
		last := in(chain + "-mac")
		l.want("nat "+chain+"-mac", fmt.Sprintf("ether saddr %s return", s.MAC), last, rule{mac: s.MAC.String(), does: "return"})
		l.want("nat "+chain+"-mac", "drop", last, rule{does: "drop"})
	}
}
