package page

import (
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/operator/ruleset"
)

// rules are the rules and elements of the host's packet filter that are the attachment's: those that name it, or one of its addresses.
func rules(h *observe.Host, a *observe.Attachment) Section {
	s := Section{Title: "its rules on the host", Head: []string{"TABLE", "CHAIN OR SET", "PACKETS", "RULE OR ELEMENT"}}
	filter := h.Own().Filter
	if filter == nil {
		s.row(Bad, "", "", "", "the packet filter could not be read")
		return s
	}
	names := signsOf(a)
	for _, t := range filter.Tables {
		for _, c := range t.Chains {
			for _, r := range c.Rules {
				if mentions(names, r.Text) || mentions(names, r.Comment) || leadsIn(t, c, names) {
					s.row(Plain, tableName(t), c.Name, packets(r), r.Text)
				}
			}
		}
		for _, set := range t.Sets {
			for _, e := range set.Elements {
				if !e.Expiring && (mentions(names, e.Text) || strings.Contains(e.Comment, " "+a.ID)) {
					s.row(Plain, tableName(t), set.Name, "", e.Text)
				}
			}
		}
	}
	return s
}

// signsOf are the words by which rules name the attachment.
func signsOf(a *observe.Attachment) []string {
	words := []string{a.ContainerID, LinkName(a.HostLink)}
	for _, text := range a.Addresses {
		words = append(words, addrOf(text).String())
	}
	return slices.DeleteFunc(words, func(w string) bool { return w == "" })
}

// mentions says whether one of the words stands in the text, not as a part of a longer word or address.
func mentions(words []string, text string) bool {
	for _, w := range words {
		for rest := text; ; {
			before, after, found := strings.Cut(rest, w)
			if !found {
				break
			}
			if !inWord(before, len(before)-1) && !inWord(after, 0) {
				return true
			}
			rest = after
		}
	}
	return false
}

func inWord(text string, at int) bool {
	if at < 0 || at >= len(text) {
		return false
	}
	c := text[at]
	return c == '.' && at+1 < len(text) && text[at+1] >= '0' && text[at+1] <= '9' || c == '_' ||
		c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// leadsIn says whether the chain is one of an attachment's own, and a rule with one of the words leads to it.
func leadsIn(t *ruleset.Table, c *ruleset.Chain, words []string) bool {
	if c.Hook != "" || !strings.HasPrefix(c.Name, "CNI-") || strings.HasPrefix(c.Name, "CNI-HOSTPORT") {
		return false
	}
	for _, other := range t.Chains {
		for _, r := range other.Rules {
			if strings.Contains(r.Text, c.Name) && (mentions(words, r.Text) || mentions(words, r.Comment)) {
				return true
			}
		}
	}
	return false
}
