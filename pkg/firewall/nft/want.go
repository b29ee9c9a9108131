package nft

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/order"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// want is a claim as elements of a table: parsed, so that nothing later can be wrong with it.
type want struct {
	table      *table
	owner      owner.Owner
	role       firewall.Role
	sets       []string // where elements of the role are
	attachment entry
	life       *entry // says of which life of the container the attachment is; nil: it is not told
	entries    []entry
	rules      []rule          // of ports with conditions
	linked     bool            // as the claim says
	several    bool            // the owner has other claims in the role
	firm       bool            // the owner has no other claim in the role: what of his leads elsewhere, or is not wanted, is a difference
	hidden     []string        // ports that lead elsewhere by an earlier claim of the owner's
	admin      string          // the operator's chain; empty: the claim names none
	seen       map[string]bool // the names of the entries
}

// entry is one element that a claim wants.
type entry struct {
	set      *nftables.Set
	key, val []byte
	end      []byte // the last key of a range; empty where the set has none
	probe    []byte // a key in a range, by which one that is narrower or wider is found, too
	title    string // what it is to people, as in `host port 8080/tcp`
	tells    string // the owner's text in its comment; empty: as it is
}

// parse turns a claim into what it wants. All errors that are the claim's own are found here.
func parse(o owner.Owner, c firewall.Claim) (*want, error) {
	w, err := begin(o, c.Role)
	if err != nil {
		return nil, err
	}
	for _, m := range c.Masq {
		err = errors.Join(err, w.masq(m))
	}
	for _, p := range c.Ports {
		err = errors.Join(err, w.port(p))
	}
	for _, s := range c.Spoof {
		err = errors.Join(err, w.spoof(s))
	}
	w.admin = written(c.Admin)
	for _, a := range c.Pass {
		err = errors.Join(err, w.pass(a))
	}
	for _, link := range c.Alone {
		err = errors.Join(err, w.alone(link))
	}
	if err != nil {
		return nil, fault.New(fault.Config, "mend the claim", "%s: %w", c.Role, err)
	}
	w.linked, w.firm = c.Linked, c.First
	w.lives(c.Life)
	w.count(w.size())
	return w, nil
}

// begin starts a want of the role with nothing in it.
func begin(o owner.Owner, role firewall.Role) (*want, error) {
	w := &want{owner: o, role: role, seen: make(map[string]bool)}
	switch role {
	case firewall.Masquerade:
		w.table, w.sets = inet(), []string{"masq4", "masq6", "direct4", "direct6"}
	case firewall.Publish:
		w.table, w.sets = inet(), []string{"dnat4", "dnat6", "dnat4ip", "dnat6ip", "snat4", "snat6", "near4", "near6", "snatall4", "snatall6"}
	case firewall.Antispoof:
		w.table, w.sets = bridge(), []string{"port", "mac"}
	case firewall.Forward:
		w.table, w.sets = forward(), []string{"pass4", "pass6"}
	case firewall.Isolate:
		w.table, w.sets = apart(), []string{"alone"}
	default:
		return nil, fault.New(fault.Unsupported, "use another firewall backend", "nft: no role %q", role)
	}
	key := o.Key(string(role))
	w.attachment = entry{set: w.table.set(attachments), key: key[:], title: "attachment"}
	return w, nil
}

// all returns every element of the claim, the attachment first.
func (w *want) all() []entry { return append([]entry{w.attachment}, w.entries...) }

// add appends an element unless it is there. It says false when it is there with the same value or another.
func (w *want) add(e entry) bool {
	if w.seen[e.name()] {
		return false
	}
	w.seen[e.name()] = true
	w.entries = append(w.entries, e)
	return true
}

// name tells an element from all others of its table.
func (e entry) name() string { return e.set.Name + string(e.key) + string(e.end) }

// is says whether the element that was found under the key is this one, value and all.
func (e entry) is(found *nftables.SetElement) bool {
	return bytes.Equal(e.key, found.Key) && bytes.Equal(e.end, found.KeyEnd) && bytes.Equal(e.val, found.Val)
}

// pick returns the first name for an IPv4 address, the second for another.
func pick(addr netip.Addr, four, six string) string {
	if addr.Is4() {
		return four
	}
	return six
}

// masq adds one masqueraded address. It must be an unmapped address without a zone, in its subnet.
func (w *want) masq(m firewall.Masq) error {
	if err := usable(m.Addr); err != nil {
		return fmt.Errorf("address: %w", err)
	}
	if m.Subnet != m.Subnet.Masked() || !m.Subnet.Contains(m.Addr) {
		return fmt.Errorf("subnet %s: must be masked and contain %s", m.Subnet, m.Addr)
	}
	e := entry{set: w.table.set(pick(m.Addr, "masq4", "masq6")), key: m.Addr.AsSlice(), title: "masqueraded address " + m.Addr.String()}
	if !w.add(e) {
		return fmt.Errorf("address %s: listed twice", m.Addr)
	}
	for _, p := range m.Except {
		if p != p.Masked() || p.Addr().Is4() != m.Addr.Is4() {
			return fmt.Errorf("except %s: must be masked and of the family of %s", p, m.Addr)
		}
	}
	for _, p := range disjoint(append(m.Except[:len(m.Except):len(m.Except)], m.Subnet)) {
		w.pair(pick(m.Addr, "direct4", "direct6"), m.Addr, p, "masqueraded address %s, except to %s")
	}
	return nil
}

// disjoint returns the prefixes without those that lie inside another: the kernel refuses ranges that overlap.
func disjoint(prefixes []netip.Prefix) []netip.Prefix {
	var list []netip.Prefix
	order.By(prefixes, func(a, b netip.Prefix) int { return a.Bits() - b.Bits() })
	for _, p := range prefixes {
		if !slices.ContainsFunc(list, func(wider netip.Prefix) bool { return wider.Overlaps(p) }) {
			list = append(list, p)
		}
	}
	return list
}

// pair adds the range of an address with each address of a prefix, unless it is there.
func (w *want) pair(set string, addr netip.Addr, p netip.Prefix, title string) {
	e := entry{set: w.table.set(set), title: fmt.Sprintf(title, addr, p)}
	e.key = append(addr.AsSlice(), p.Addr().AsSlice()...)
	e.end = append(addr.AsSlice(), last(p).AsSlice()...)
	if p.Contains(addr) {
		e.probe = append(addr.AsSlice(), addr.AsSlice()...)
	}
	w.add(e)
}

// usable says what is wrong with an address of a container.
func usable(addr netip.Addr) error {
	if !addr.IsValid() || addr.IsUnspecified() || addr.Is4In6() || addr.Zone() != "" {
		return fmt.Errorf("%q: must be a plain IPv4 or IPv6 address", addr)
	}
	return nil
}

// port adds one published port.
func (w *want) port(p firewall.Port) error {
	name, err := checkPort(p)
	if err != nil {
		return err
	}
	if len(p.Conditions) > 0 {
		w.conditional(p, name)
		w.snat(p)
		return nil
	}
	target := p.Target.Addr()
	set, key := pick(target, "dnat4", "dnat6"), service(p.Protocol, p.HostPort)
	if p.HostIP.IsValid() && !p.HostIP.IsUnspecified() {
		set, key = set+"ip", append(p.HostIP.AsSlice(), key...)
	}
	if !w.add(entry{set: w.table.set(set), key: key, val: address(p.Target), title: name}) {
		return fmt.Errorf("%s: listed twice", name)
	}
	w.snat(p)
	return nil
}

// snat adds a published port's target, if some clients are to be masqueraded, and whose the address is: one address has one owner, whatever
// the ports, since the host's routes lead to one of two containers that have it.
func (w *want) snat(p firewall.Port) {
	target := p.Target.Addr()
	if p.SNAT != firewall.SNATNone {
		set := pick(target, "snat4", "snat6")
		if p.SNAT == firewall.SNATAll {
			set = pick(target, "snatall4", "snatall6")
		}
		// Two host ports may lead to one target: its element is then there once.
		w.add(entry{set: w.table.set(set), key: append(target.AsSlice(), service(p.Protocol, p.Target.Port())...),
			title: fmt.Sprintf("published target %s/%s", p.Target, protocol(p.Protocol))})
	}
	if p.Subnet.IsValid() {
		w.pair(pick(target, "near4", "near6"), target, p.Subnet, "published address %s, for clients in %s")
	}
}

// checkPort says what is wrong with a port, or its name for people.
func checkPort(p firewall.Port) (name string, err error) {
	host := ""
	switch {
	case p.HostIP.IsValid() && !p.HostIP.IsUnspecified():
		host = netip.AddrPortFrom(p.HostIP, p.HostPort).String()
	case p.Target.Addr().Is4():
		host = fmt.Sprint(p.HostPort)
	default:
		host = fmt.Sprintf("[::]:%d", p.HostPort)
	}
	name = fmt.Sprintf("host port %s/%s", host, protocol(p.Protocol))
	switch bad := usable(p.Target.Addr()); {
	case bad != nil:
		return name, fmt.Errorf("%s: target %w", name, bad)
	case p.HostPort == 0 || p.Target.Port() == 0:
		return name, fmt.Errorf("%s: target port %d: both must be from 1 to 65535", name, p.Target.Port())
	case p.Protocol != unix.IPPROTO_TCP && p.Protocol != unix.IPPROTO_UDP && p.Protocol != unix.IPPROTO_SCTP:
		return name, fmt.Errorf("%s: protocol must be tcp, udp or sctp", name)
	case p.HostIP.IsValid() && (p.HostIP.Is4() != p.Target.Addr().Is4() || p.HostIP.Zone() != ""):
		return name, fmt.Errorf("%s: target %s: must be of the family of the host's address", name, p.Target.Addr())
	case slices.ContainsFunc(p.Conditions, func(c firewall.Condition) bool { return !sound(c, p.Target.Addr().Is4()) }):
		return name, fmt.Errorf("%s: condition: must say one thing, of the family of the target", name)
	case p.Subnet.IsValid() && (p.Subnet != p.Subnet.Masked() || !p.Subnet.Contains(p.Target.Addr())):
		return name, fmt.Errorf("%s: subnet %s: must be masked and contain %s", name, p.Subnet, p.Target.Addr())
	}
	return name, nil
}

// sound says whether a condition is about one thing, of the right family.
func sound(c firewall.Condition, is4 bool) bool {
	said := 0
	for _, p := range []netip.Prefix{c.Source, c.Destination} {
		if p.IsValid() {
			said++
			if p != p.Masked() || p.Addr().Is4() != is4 {
				return false
			}
		}
	}
	if c.Link != "" {
		said++
	}
	if c.Mark.Mask != 0 {
		said++
	}
	return said == 1 && len(c.Link) < unix.IFNAMSIZ
}

// spoof adds one port of a bridge.
func (w *want) spoof(s firewall.Spoof) error {
	if s.Link == "" || len(s.Link) >= unix.IFNAMSIZ || len(s.MAC) != 6 {
		return fmt.Errorf("link %q with %s: must be the name of a link and an Ethernet address", s.Link, s.MAC)
	}
	name := fullName(s.Link)
	if !w.add(entry{set: w.table.set("port"), key: name, title: "port " + s.Link}) {
		return fmt.Errorf("link %s: listed twice", s.Link)
	}
	key := append(append([]byte{}, name...), s.MAC...)
	w.add(entry{set: w.table.set("mac"), key: append(key, 0, 0), title: fmt.Sprintf("source address %s of port %s", s.MAC, s.Link)})
	return nil
}
