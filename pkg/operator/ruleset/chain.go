package ruleset

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// readChain reads a chain without its rules.
func readChain(family byte, a attrs) (*Chain, error) {
	c := &Chain{Name: a.text(unix.NFTA_CHAIN_NAME), Type: a.text(unix.NFTA_CHAIN_TYPE)}
	if a[unix.NFTA_CHAIN_HOOK] == nil {
		return c, nil
	}
	hook, err := attributes(a[unix.NFTA_CHAIN_HOOK])
	if err != nil {
		return nil, err
	}
	c.Hook = hookName(family, hook.number(unix.NFTA_HOOK_HOOKNUM))
	c.Priority = int32(hook.number(unix.NFTA_HOOK_PRIORITY))
	c.Policy = "accept"
	if a[unix.NFTA_CHAIN_POLICY] != nil && a.number(unix.NFTA_CHAIN_POLICY) == 0 { // NF_DROP
		c.Policy = "drop"
	}
	if device := hook.text(unix.NFTA_HOOK_DEV); device != "" {
		c.Devices = []string{device}
	}
	err = each(hook[nftaHookDevs], func(_ uint16, name []byte) error {
		if device := strings.TrimRight(string(name), "\x00"); !slices.Contains(c.Devices, device) {
			c.Devices = append(c.Devices, device)
		}
		return nil
	})
	return c, err
}

// nftaHookDevs is NFTA_HOOK_DEVS of include/uapi/linux/netfilter/nf_tables.h, which golang.org/x/sys lacks.
const nftaHookDevs = 4

// hookName names a hook by its number, which is another in the families netdev and arp.
func hookName(family byte, number uint32) Hook {
	names := []Hook{Prerouting, Input, Forward, Output, Postrouting, Ingress} // enum nf_inet_hooks; those of bridges are the same
	switch family {
	case unix.NFPROTO_NETDEV:
		names = []Hook{Ingress, Egress}
	case unix.NFPROTO_ARP:
		names = []Hook{Input, Output, Forward}
	}
	if int(number) < len(names) {
		return names[number]
	}
	return "unknown"
}

// standard are the tables that iptables has, and the chains that it makes base chains.
var standard = map[string][]string{
	"filter": {"INPUT", "FORWARD", "OUTPUT"}, "nat": {"PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"}, "raw": {"PREROUTING", "OUTPUT"},
	"mangle": {"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"}, "security": {"INPUT", "FORWARD", "OUTPUT"},
}

// compat tells the tables of iptables over nf_tables, which bear no other mark than their names.
func (t *Table) compat() {
	chains, known := standard[t.Name]
	if !known || t.Family != "ip" && t.Family != "ip6" {
		return
	}
	for _, c := range t.Chains {
		if c.Hook != "" && !slices.Contains(chains, c.Name) {
			return
		}
	}
	t.Flavour = Compat
	for _, c := range t.Chains {
		for _, r := range c.Rules {
			r.Text = t.words(r)
		}
	}
}

// addRule appends a rule to its chain. Nothing is added where the table or the chain came after their dumps.
func addRule(t *Table, a attrs) error {
	if t == nil {
		return nil
	}
	c := t.Chain(a.text(unix.NFTA_RULE_CHAIN))
	if c == nil {
		return nil
	}
	r := &Rule{Handle: a.long(unix.NFTA_RULE_HANDLE), Comment: userComment(a[unix.NFTA_RULE_USERDATA], 0)}
	err := each(a[unix.NFTA_RULE_EXPRESSIONS], func(_ uint16, value []byte) error {
		e, err := attributes(value)
		if err != nil {
			return err
		}
		r.add(t, e.text(unix.NFTA_EXPR_NAME), e[unix.NFTA_EXPR_DATA])
		return nil
	})
	if err != nil {
		return err
	}
	r.Text = t.words(r)
	c.Rules = append(c.Rules, r)
	return nil
}

// userComment finds a comment in the bytes that nft keeps with an object: type, length, text, ended by a zero.
func userComment(data []byte, kind byte) string {
	for len(data) >= 2 && len(data) >= 2+int(data[1]) {
		value := data[2 : 2+int(data[1])]
		if data[0] == kind {
			return strings.TrimRight(string(value), "\x00")
		}
		data = data[2+int(data[1]):]
	}
	return ""
}
