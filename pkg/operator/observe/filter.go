package observe

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/operator/ruleset"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// sign is something in the host's packet filter that is somebody's.
type sign struct {
	network, container, ifName string   // as far as the filter tells
	id                         owner.ID // zero for others' signs
	origin                     Origin
	port                       *Port
	masked                     string // an address that leaves with the host's
	linked                     bool   // where its link is gone, it is dead
	ours                       bool   // linked, by a table of ours
}

// address is the container's that the sign tells, if it tells one.
func (s sign) address() netip.Addr {
	if s.port != nil {
		return s.port.Target.Addr()
	}
	if prefix, err := netip.ParsePrefix(s.masked); err == nil {
		return prefix.Addr()
	}
	a, _ := netip.ParseAddr(s.masked)
	return a
}

// signs finds what the host's packet filter holds for containers: ours by marks, the reference's by its names.
func signs(filter *ruleset.Ruleset) (list []sign) {
	if filter == nil {
		return nil
	}
	for _, t := range filter.Tables {
		switch {
		case firewall.OwnTable(t.Name):
			list = append(list, ownSigns(t)...)
		case t.Name == "raw" && t.Flavour != ruleset.NFTables:
			list = append(list, ledgerSigns(t)...)
		case t.Name == "nat" && t.Flavour != ruleset.NFTables:
			list = append(list, iptablesSigns(t)...)
		case t.Name == "cni_hostport":
			list = append(list, hostportSigns(t)...)
		case t.Name == "cni_plugins_masquerade":
			list = append(list, masqueradeSigns(t)...)
		}
	}
	return list
}

// linkedBit is in the value of the map attachment: the owner's link tells its life.
const linkedBit = 1 << 15

// ownSigns reads the elements of a table of ours: `key : data`, with the owner in the comment.
func ownSigns(t *ruleset.Table) (list []sign) {
	for _, set := range t.Sets {
		for _, e := range set.Elements {
			o, ok := owner.Parse(e.Comment)
			if !ok || e.Expiring || strings.HasPrefix(o.Text, firewall.LifeSign) {
				continue
			}
			s := signOf(o)
			key, data, _ := strings.Cut(e.Text, " : ")
			switch set.Name {
			case "attachment":
				value, _ := strconv.Atoi(data)
				s.linked = value&linkedBit != 0
				s.ours = s.linked
			case "masq4", "masq6":
				s.masked = key
			case "dnat4", "dnat6", "dnat4ip", "dnat6ip":
				s.port = portOf(strings.Split(key, " . "), strings.Split(data, " . "))
			}
			list = append(list, s)
		}
	}
	return list
}

func signOf(o owner.Owner) sign {
	s := sign{id: o.ID, origin: Trestle}
	s.network, s.container, s.ifName, _ = o.Names()
	return s
}

// portOf reads [host address,] protocol, port and the target's two parts.
func portOf(key, data []string) *Port {
	p := &Port{Backend: "nftables"}
	if len(key) == 3 {
		p.HostIP, _ = netip.ParseAddr(key[0])
		key = key[1:]
	}
	if len(key) != 2 || len(data) != 2 {
		return nil
	}
	p.Protocol, p.HostPort = key[0], port(key[1])
	addr, _ := netip.ParseAddr(data[0])
	p.Target = netip.AddrPortFrom(addr, port(data[1]))
	return p
}

func port(text string) uint16 {
	n, _ := strconv.ParseUint(text, 10, 16)
	return uint16(n)
}

// ledgerSigns reads the chains in which our iptables backend keeps whose its rules are. The link, where one tells the owner's life, is in them.
func ledgerSigns(t *ruleset.Table) (list []sign) {
	for _, c := range t.Chains {
		if !strings.HasPrefix(c.Name, firewall.ChainPrefix) {
			continue
		}
		for _, r := range c.Rules {
			if o, ok := owner.Parse(r.Comment); ok {
				s := signOf(o)
				s.linked = after(r.Text, "-i") != ""
				list = append(list, s)
			}
		}
	}
	return list
}

// iptablesSigns reads the rules that the reference writes by iptables, and ours that have the same form.
func iptablesSigns(t *ruleset.Table) (list []sign) {
	if dnat := t.Chain(firewall.Hostports); dnat != nil {
		for _, r := range dnat.Rules {
			s := named(r.Comment)
			for _, p := range translations(t.Chain(after(r.Text, "-j"))) {
				p.Backend = "iptables"
				s.port = p
				list = append(list, s)
			}
		}
	}
	if post := t.Chain("POSTROUTING"); post != nil {
		for _, r := range post.Rules {
			if s := named(r.Comment); s.container != "" {
				s.masked = after(r.Text, "-s")
				list = append(list, s)
			}
		}
	}
	return list
}

// passing are the addresses that rules without an owner let pass: those of the plugin firewall under iptables, the reference's and ours.
func passing(filter *ruleset.Ruleset) map[netip.Addr]bool {
	addrs := make(map[netip.Addr]bool)
	if filter == nil {
		return addrs
	}
	for _, t := range filter.Tables {
		chain := t.Chain(firewall.ForwardChain)
		if t.Name != "filter" || chain == nil {
			continue
		}
		for _, r := range chain.Rules {
			text, _, _ := strings.Cut(after(r.Text, "-s", "-d"), "/")
			if a, err := netip.ParseAddr(text); err == nil {
				addrs[a] = true
			}
		}
	}
	return addrs
}

// named reads the comment of a rule of the reference's.
func named(comment string) sign {
	s := sign{origin: Reference}
	s.network, s.container = firewall.Named(comment)
	return s
}

// translations reads the rules of a chain that lead to a container, in the words of iptables or of nft.
func translations(c *ruleset.Chain) (list []*Port) {
	if c == nil {
		return nil
	}
	for _, r := range c.Rules {
		if p := translation(r.Text); p != nil {
			list = append(list, p)
		}
	}
	return list
}

func translation(text string) *Port {
	p := &Port{}
	for _, protocol := range []string{"tcp", "udp", "sctp"} {
		if strings.Contains(" "+text+" ", " "+protocol+" ") {
			p.Protocol = protocol
		}
	}
	p.HostPort = port(after(text, "--dport", "dport"))
	if prefix, err := netip.ParsePrefix(after(text, "-d", "daddr")); err == nil {
		p.HostIP = prefix.Addr()
	} else if addr, err := netip.ParseAddr(after(text, "-d", "daddr")); err == nil {
		p.HostIP = addr
	}
	target, err := netip.ParseAddrPort(after(text, "--to-destination", "to"))
	if err != nil || p.Protocol == "" || p.HostPort == 0 {
		return nil
	}
	p.Target = target
	return p
}

// after returns the word that follows the first of the words that is there.
func after(text string, words ...string) string {
	fields := strings.Fields(text)
	for i, f := range fields[:max(len(fields)-1, 0)] {
		for _, word := range words {
			if f == word {
				return fields[i+1]
			}
		}
	}
	return ""
}

// hostportSigns reads the table of the reference's portmap under nftables, whose comments are the container's ID alone.
func hostportSigns(t *ruleset.Table) (list []sign) {
	for _, name := range []string{"hostports", "hostip_hostports"} {
		chain := t.Chain(name)
		if chain == nil {
			continue
		}
		for _, r := range chain.Rules {
			if p := translation(r.Text); p != nil {
				p.Backend = "nftables"
				list = append(list, sign{container: r.Comment, origin: Reference, port: p})
			}
		}
	}
	return list
}

// masqueradeSigns reads the table of the reference's masquerade under nftables: "<hashes>, net: N, if: I, id: C".
func masqueradeSigns(t *ruleset.Table) (list []sign) {
	chain := t.Chain("masq_checks")
	if chain == nil {
		return nil
	}
	for _, r := range chain.Rules {
		s := sign{origin: Reference, masked: after(r.Text, "saddr")}
		for _, part := range strings.Split(r.Comment, ", ") {
			key, value, _ := strings.Cut(part, ": ")
			switch key {
			case "net":
				s.network = value
			case "if":
				s.ifName = value
			case "id":
				s.container = value
			}
		}
		if s.container != "" {
			list = append(list, s)
		}
	}
	return list
}
