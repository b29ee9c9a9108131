package iptables

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/trestle-cni/trestle/pkg/firewall"
)

// Leave has the filter make nothing again that is gone and is to stay so: a chain, or a rule in the words of iptables-save.
func (f *Filter) Leave(left firewall.Left) { f.left = left }

// Leave has what is left stay as it is, in Restore, too.
func (k *Keeper) Leave(left firewall.Left) { k.filter.left = left }

// spare takes out of what is to be written to the tables what is left as it is.
func (f *Filter) spare(s *state) {
	if f.left == nil {
		return
	}
	for name, table := range map[string]struct {
		*ruleset
		to *[]string
	}{"raw": {s.raw, &s.toRaw}, "nat": {s.nat, &s.toNAT}, "filter": {s.filter, &s.toFilter}} {
		if table.ruleset != nil {
			*table.to = spared{f.left, firewall.Titled(s.title(name)), table.ruleset}.of(*table.to)
		}
	}
}

// spared is a table of which something is left as it is.
type spared struct {
	firewall.Left
	firewall.Titled
	now *ruleset
}

// restoreLine is one line for iptables-restore.
type restoreLine struct {
	how, chain, rule string
	place            int // of -I
}

func readLine(line string) (w restoreLine) {
	if declared, is := strings.CutPrefix(line, ":"); is {
		w.how = ":"
		w.chain, _, _ = strings.Cut(declared, " ")
		return w
	}
	w.how, line, _ = strings.Cut(line, " ")
	w.chain, w.rule, _ = strings.Cut(line, " ")
	if w.how == "-I" {
		place, rule, _ := strings.Cut(w.rule, " ")
		w.place, _ = strconv.Atoi(place)
		w.rule = rule
	}
	return w
}

func (w restoreLine) adds() bool { return w.how == "-A" || w.how == "-I" }

// leaves says whether the line makes what is left, or leads there.
func (s spared) leaves(w restoreLine) bool {
	gone := func(chain string) bool { return s.Has(s.Chain(chain)) }
	switch {
	case w.how == ":" || w.how == "-N":
		return gone(w.chain)
	case w.adds():
		target := value(w.rule, "-j")
		return gone(w.chain) || s.Has(s.Rule(firewall.Quoted(w.rule), w.chain)) || gone(target) && !s.now.has(target)
	}
	return false
}

// of are the lines less those that make what is left. Where nothing else would come of a chain's lines than what it has, none is needed.
func (s spared) of(list []string) (rest []string) {
	less := make(map[string][]int) // by chain: the places of what is not inserted
	for _, line := range list {
		w := readLine(line)
		switch before := len(less[w.chain]); {
		case s.leaves(w):
			less[w.chain] = append(less[w.chain], w.place)
			continue
		case w.how == "-I" && before > 0:
			earlier := slices.DeleteFunc(slices.Clone(less[w.chain]), func(at int) bool { return at == 0 || at > w.place })
			line = fmt.Sprintf("-I %s %d %s", w.chain, max(1, w.place-len(earlier)), w.rule)
		}
		rest = append(rest, line)
	}
	return slices.DeleteFunc(rest, func(line string) bool {
		chain := readLine(line).chain
		return len(less[chain]) > 0 && s.same(chain, rest)
	})
}

// same says whether the lines leave a chain with the rules that it has.
func (s spared) same(chain string, list []string) bool {
	rules := slices.Clone(s.now.chains[chain])
	for _, line := range list {
		w := readLine(line)
		at := slices.Index(rules, w.rule)
		switch {
		case w.chain != chain:
		case w.how == ":":
			rules = nil
		case w.adds():
			rules = append(rules, w.rule)
		case w.how == "-D" && at >= 0:
			rules = slices.Delete(rules, at, at+1)
		}
	}
	was := slices.Clone(s.now.chains[chain])
	slices.Sort(rules)
	slices.Sort(was)
	return s.now.has(chain) && slices.Equal(rules, was)
}

// Gone are the rules of a chain that are known and are not there, by their names.
func (k *Keeper) Gone(ctx context.Context, table firewall.Titled, chain string) (names []string, err error) {
	for _, f := range families() {
		for _, name := range keptTables() {
			if f.title(name) != string(table) {
				continue
			}
			t, err := k.filter.find(ctx, f, onNFT)
			if err != nil {
				return nil, err
			}
			now, err := t.sheet(ctx)
			if err != nil || now[name] == nil {
				return nil, err
			}
			k.mu.Lock()
			defer k.mu.Unlock()
			if was := k.held[f.program][name]; was != nil {
				for _, rule := range was.chains[chain] {
					if !now[name].contains(chain, rule) {
						names = append(names, table.Rule(firewall.Quoted(rule), chain))
					}
				}
			}
		}
	}
	return names, nil
}
