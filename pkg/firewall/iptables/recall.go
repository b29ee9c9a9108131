package iptables

import (
	"context"
	"fmt"
	"slices"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Restore puts back what is known and went whole: chains of ours that are not there, or are empty, and what leads to them, where nothing of ours is left that does. What
// went in part, what is shared with somebody who is not admitted, what is the reference's, and what went before it was known, is left to the plugins.
func (k *Keeper) Restore(ctx context.Context, how firewall.Restoring) (done firewall.Restored, err error) {
	done = firewall.Restored{Owners: make(map[owner.ID]bool)}
	k.mu.Lock()
	knows := len(k.held) > 0
	k.mu.Unlock()
	if !knows {
		k.Accept()
		done.Partly = true
		return done, nil
	}
	lock, err := k.filter.lock(ctx)
	if err != nil {
		return done, err
	}
	defer lock.Close()
	now, generation, err := k.settled(ctx)
	if err != nil {
		return done, err
	}
	done.Partly = k.lags()
	for _, f := range families() {
		t, failed := k.filter.find(ctx, f, onNFT)
		if failed != nil {
			continue
		}
		if err = t.write(ctx, lock, k.recalled(f, now[f.program], how, &done)...); err != nil {
			return done, err
		}
	}
	k.mended(generation)
	return done, nil
}

// recalled is what one family lacks.
func (k *Keeper) recalled(f family, now sheet, how firewall.Restoring, done *firewall.Restored) (all []lines) {
	k.mu.Lock()
	defer k.mu.Unlock()
	was := k.held[f.program]
	if was == nil {
		return nil
	}
	r := recall{Restoring: how, Restored: done, owners: ownersOf(was["raw"])}
	for _, name := range keptTables() {
		if r.was = was[name]; r.was == nil {
			continue
		}
		r.spared = spared{k.filter.left, firewall.Titled(f.title(name)), now[name]}
		if r.now == nil {
			r.now = parse("")
		}
		if list := r.lines(); len(list) > 0 {
			all = append(all, lines{name, list})
			done.Tables = append(done.Tables, f.title(name))
		}
	}
	return all
}

// recall is one table that is put back.
type recall struct {
	firewall.Restoring
	*firewall.Restored
	owners map[string][]firewall.Holder // of chains, and of the addresses that may pass
	was    *ruleset
	spared // as it is now
}

// ownersOf says by the ledgers whose chains and addresses are whose.
func ownersOf(raw *ruleset) map[string][]firewall.Holder {
	owners := make(map[string][]firewall.Holder)
	for _, e := range entriesOf(raw) {
		keys := []string{ledgerChain(e.Owner, e.role)}
		if n, named := namesOf(e.Owner); named && e.role != firewall.Forward {
			keys = append(keys, n.chain(e.role))
		}
		if e.role == firewall.Forward {
			keys = append(keys, host(e.addr))
		}
		for _, key := range keys {
			owners[key] = append(owners[key], e.Holder)
		}
	}
	return owners
}

// admits says whether all who have a part in it are admitted, and some have.
func (r *recall) admits(key string) bool {
	holders := r.owners[key]
	for _, h := range holders {
		if !r.Admit(h.ID, h.Linked) {
			return false
		}
	}
	return len(holders) > 0
}

// shared are the chains that belong to nobody alone.
func shared() []string {
	return []string{guard, hostports, setMark, markMasq, forwardChain, publishedChain, stageOne, stageTwo, firewall.AdminChain}
}

// lines are what makes the table as it was.
func (r *recall) lines() (list []string) {
	var rules []string
	for _, chain := range r.was.names {
		switch {
		case !firewall.IsChain(chain) || !r.was.has(chain) || r.now.has(chain) && len(r.was.chains[chain]) == 0 || r.leaves(restoreLine{how: ":", chain: chain}):
		case len(r.now.chains[chain]) > 0:
			r.Partly = r.Partly || r.thinned(chain)
		case !r.comes(chain):
			r.Partly = true
		default:
			list = append(list, ":"+chain+" - [0:0]")
			for _, rule := range r.was.chains[chain] {
				if r.may(chain, rule) {
					rules = append(rules, "-A "+chain+" "+rule)
				}
			}
			r.note(chain)
		}
	}
	for _, chain := range r.was.names {
		if r.was.policies[chain] != "-" {
			rules = append(rules, r.hooks(chain)...)
		}
	}
	r.Rules += len(rules)
	return append(list, rules...)
}

// thinned says whether a rule of ours is missing in a chain that has others still.
func (r *recall) thinned(chain string) bool {
	return chain != firewall.AdminChain && slices.ContainsFunc(r.was.chains[chain], func(rule string) bool { return r.missing(chain, rule) })
}

// missing says whether a rule is not there, and not left so.
func (r *recall) missing(chain, rule string) bool {
	return !r.now.contains(chain, rule) && !r.leaves(restoreLine{how: "-A", chain: chain, rule: rule})
}

func (r *recall) note(chain string) {
	for _, h := range r.owners[chain] {
		r.Owners[h.ID] = true
	}
}

// comes says whether a chain that is not there, or is empty, may be put back.
func (r *recall) comes(chain string) bool {
	return slices.Contains(shared(), chain) || r.admits(chain)
}

// may says whether a rule may be put back. Where it may not, and is not left as it is, something is missing still.
func (r *recall) may(chain, rule string) bool {
	if r.leaves(restoreLine{how: "-A", chain: chain, rule: rule}) {
		return false
	}
	yes := chain != firewall.AdminChain // what is in it is the operator's
	target := value(rule, "-j")
	switch {
	case firewall.IsChain(target):
		yes = yes && r.was.has(target) && (r.now.has(target) || r.comes(target))
	case r.was.has(target):
		yes = yes && r.now.has(target) // somebody else's chain
	}
	switch a := addressOfRule(rule); {
	case chain == forwardChain && a.IsValid(), chain == publishedChain && a.IsValid():
		yes = yes && r.admits(host(a))
	case chain == stageOne || chain == stageTwo:
		link := segmentOf(rule)
		yes = yes && (link == "" || r.Link(link))
	}
	r.Partly = r.Partly || !yes
	return yes
}

// hooks are the rules of a chain of the kernel's that lead to ours. What was before all of others' comes first again, the rest last. Where some are there still, the
// plugins are asked: the order is theirs.
func (r *recall) hooks(chain string) (list []string) {
	leads := func(rule string) bool { return firewall.IsChain(value(rule, "-j")) }
	if slices.ContainsFunc(r.now.chains[chain], leads) {
		r.Partly = r.Partly || slices.ContainsFunc(r.was.chains[chain], func(rule string) bool { return leads(rule) && r.missing(chain, rule) })
		return nil
	}
	first := 0
	for i, rule := range r.was.chains[chain] {
		if !leads(rule) || !r.may(chain, rule) {
			continue
		}
		if i == first {
			first++
			list = append(list, fmt.Sprintf("-I %s %d %s", chain, first, rule))
		} else {
			list = append(list, "-A "+chain+" "+rule)
		}
	}
	return list
}
