package iptables

import (
	"slices"
	"strings"
)

// ruleset is one table of one family, as iptables-save prints it: each chain's rules without the leading -A and chain.
type ruleset struct {
	names    []string
	chains   map[string][]string
	foreign  bool              // it has what nft wrote in its own words: then iptables lists nothing of it
	policies map[string]string // of the chains that the kernel calls
}

// parse reads what iptables-save printed for one table.
func parse(text string) *ruleset {
	r := &ruleset{chains: make(map[string][]string), policies: make(map[string]string), foreign: strings.Contains(text, "is incompatible, use 'nft' tool")}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, ":"); ok {
			name, policy, _ := strings.Cut(name, " ")
			r.names = append(r.names, name)
			r.chains[name] = nil
			r.policies[name], _, _ = strings.Cut(policy, " ")
		}
		if rule, ok := strings.CutPrefix(line, "-A "); ok {
			name, spec, _ := strings.Cut(rule, " ")
			r.chains[name] = append(r.chains[name], spec)
		}
	}
	return r
}

func (r *ruleset) has(chain string) bool {
	_, ok := r.chains[chain]
	return ok
}

// contains says whether the chain has exactly this rule.
func (r *ruleset) contains(chain, rule string) bool { return slices.Contains(r.chains[chain], rule) }

// jumps returns the rules of the chain that lead to the target, whose name is nowhere quoted.
func (r *ruleset) jumps(chain, target string) (rules []string) {
	for _, rule := range r.chains[chain] {
		if strings.Contains(rule, target) && target == value(rule, "-j") {
			rules = append(rules, rule)
		}
	}
	return rules
}

// referenced says whether any rule leads to the chain, but for those that are about to go.
func (r *ruleset) referenced(target string, but ...string) bool {
	for _, rules := range r.chains {
		for _, rule := range rules {
			if strings.Contains(rule, target) && value(rule, "-j") == target && !slices.Contains(but, rule) {
				return true
			}
		}
	}
	return false
}

// value returns what follows the option in a rule, unquoted; empty when the rule does not have it, or has it negated.
func value(rule, option string) string {
	if !strings.Contains(rule, option) { // most often it is asked which of many rules has it
		return ""
	}
	return words(rule).value(option)
}

// phrase is a rule in words.
type phrase []string

// value returns what follows the option; empty when it is not there, or negated.
func (p phrase) value(option string) string {
	for i, word := range p[:max(0, len(p)-1)] {
		if word == option && (i == 0 || p[i-1] != "!") {
			return p[i+1]
		}
	}
	return ""
}

// words splits a rule as iptables-restore does: at spaces outside of quotes.
func words(rule string) phrase {
	if rule != "" && !strings.ContainsAny(rule, `"\\`) {
		return strings.FieldsFunc(rule, func(c rune) bool { return c == ' ' })
	}
	return quotedWords(rule)
}

func quotedWords(rule string) (list phrase) {
	var word strings.Builder
	quoted, escaped, open := false, false, false
	for _, c := range []byte(rule) {
		switch {
		case escaped:
			word.WriteByte(c)
			escaped = false
		case c == '\\' && quoted:
			escaped = true
		case c == '"':
			quoted, open = !quoted, true
		case c == ' ' && !quoted:
			if open {
				list = append(list, word.String())
			}
			word.Reset()
			open = false
		default:
			word.WriteByte(c)
			open = true
		}
	}
	if open {
		list = append(list, word.String())
	}
	return list
}

// quote writes a word as iptables-save does: in quotes unless it consists of letters, digits and a few signs.
func quote(word string) string {
	plain := func(c rune) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.'
	}
	if word != "" && !strings.ContainsFunc(word, func(c rune) bool { return !plain(c) }) {
		return word
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `'`, `\'`).Replace(word) + `"`
}
