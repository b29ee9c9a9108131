package iptables

import (
	"slices"
	"strings"
)

// ordered returns the list in its order, or in that in which all of it is there already: several attachments may have had a part in it. Only a port of
// all addresses does not come before the same port of one, which it would hide: the first rule wins.
func ordered(list, there []mapping) (sorted []mapping) {
	if sameMappings(list, there) {
		list = there
	}
	everywhere := make(map[packets]bool)
	for _, m := range list {
		at := len(sorted)
		if all := (packets{protocol: m.protocol, port: m.port}); m.packets == all {
			everywhere[all] = true
		} else if everywhere[all] {
			at = slices.IndexFunc(sorted, func(o mapping) bool { return o.packets == all })
		}
		sorted = slices.Insert(sorted, at, m)
	}
	return sorted
}

// sameMappings says whether both have the same mappings, each once.
func sameMappings(a, b []mapping) bool {
	index := make(map[packets]mapping, len(a))
	for _, m := range a {
		index[m.packets] = m
	}
	return len(a) == len(b) && len(index) == len(b) &&
		!slices.ContainsFunc(b, func(m mapping) bool { return !slices.Equal(index[m.packets].rules, m.rules) })
}

// leads says whether the entries are the attachment's, and for all these ports. They may be for more: the chain lets pass what it does not have.
func leads(have []string, ports []Asked, n names) bool {
	found := make(map[Asked]bool)
	for _, a := range askedIn(have) {
		found[a] = true
	}
	return !slices.ContainsFunc(have, func(rule string) bool { return !strings.Contains(rule, n.dnatComment()) }) &&
		!slices.ContainsFunc(ports, func(a Asked) bool { return !found[Asked{strings.ToLower(a.Protocol), a.Port}] })
}
