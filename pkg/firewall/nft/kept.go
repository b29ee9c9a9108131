package nft

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// A Keeper knows what our tables hold, from what the kernel tells of each transaction, so that all of it can be put back at once when others sweep it away.
// What others put into our sets it does not keep. It is safe for use by several goroutines.
type Keeper struct {
	filter *Filter
	mu     sync.Mutex
	held   map[string]map[string]kept // by table and set, then by key
	rules  map[string][]keptRule      // by table: those that belong to somebody
	known  map[string]bool            // the tables that there were
	compat bool                       // package iptables has chains in nf_tables
	guests []string                   // the chains of the operator's to which ours lead, by rules that only a claim can make
}

// kept is an element that was there.
type kept struct {
	nftables.SetElement
	owner owner.ID // the zero ID: it belongs to nobody
}

// keptRule is a rule that was there.
type keptRule struct {
	*nftables.Rule
	owner owner.ID
}

// Keep returns a keeper of what the filter holds, which knows nothing before Look.
func Keep(f *Filter) *Keeper {
	return &Keeper{filter: f, held: make(map[string]map[string]kept), rules: make(map[string][]keptRule), known: make(map[string]bool)}
}

func everyTable() []*table { return append([]*table{inet()}, occasional()...) }

func keyOf(t *table, set string) string { return t.String() + " " + set }

func keptOf(e nftables.SetElement) kept {
	o, _ := owner.Parse(e.Comment)
	return kept{nftables.SetElement{Key: e.Key, KeyEnd: e.KeyEnd, Val: e.Val, Comment: e.Comment}, o.ID}
}

func place(e nftables.SetElement) string { return string(e.Key) + string(e.KeyEnd) }

// Look forgets what is known, and reads all that is there. It says whether anything that was known is missing, which is then still known. What is told meanwhile is taken
// in after it: it may be of later than what is read.
func (k *Keeper) Look(ctx context.Context) (missing bool, err error) {
	f := k.filter
	defer f.lock()()
	k.mu.Lock()
	defer k.mu.Unlock()
	now := Keep(f)
	err = f.steady(ctx, func() (sure bool, err error) {
		clear(now.held)
		clear(now.rules)
		clear(now.known)
		for _, t := range everyTable() {
			if err := now.read(t); err != nil {
				return false, err
			}
		}
		return false, now.readOthers()
	})
	if err != nil {
		return false, err
	}
	if missing = !now.hasAll(k); !missing {
		k.held, k.rules, k.known, k.compat, k.guests = now.held, now.rules, now.known, now.compat, now.guests
	}
	return missing, nil
}

// Forget makes the keeper know nothing.
func (k *Keeper) Forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.held)
	clear(k.rules)
	clear(k.known)
}

// read reads one table.
func (k *Keeper) read(t *table) error {
	there, err := k.filter.exists(t)
	if err != nil || !there {
		return err
	}
	k.known[t.String()] = true
	for _, s := range t.sets {
		all, err := k.filter.dump(s)
		if err != nil {
			return err
		}
		for _, e := range all {
			k.put(keyOf(t, s.Name), e)
		}
	}
	k.rules[t.String()], err = k.readRules(t)
	return err
}

// readOthers looks for what is known to be there and cannot be put back.
func (k *Keeper) readOthers() error {
	chains, err := k.filter.conn.ListChains()
	for _, c := range chains {
		k.compat = k.compat || strings.HasPrefix(c.Name, firewall.ChainPrefix)
	}
	if err != nil || !k.known[forward().String()] {
		return err
	}
	k.guests, err = k.filter.named()
	return err
}

// readRules reads the rules that belong to attachments.
func (k *Keeper) readRules(t *table) (list []keptRule, err error) {
	rules, _, err := k.filter.conditionalRules(t)
	for _, r := range rules {
		o, _ := ruleOwner(r)
		list = append(list, keptRule{r, o.ID})
	}
	return list, err
}

// constant says whether the rules of a chain are ours, and not the operator's own.
func (t *table) constant(name string) bool {
	return name != firewall.AdminChain && slices.ContainsFunc(t.laid(), func(c *chain) bool { return c.Name == name })
}

func (k *Keeper) put(set string, e nftables.SetElement) {
	if k.held[set] == nil {
		k.held[set] = make(map[string]kept)
	}
	k.held[set][place(e)] = keptOf(e)
}

// hasAll says whether all that the other knows is known.
func (k *Keeper) hasAll(other *Keeper) bool {
	for set, elements := range other.held {
		for at := range elements {
			if _, has := k.held[set][at]; !has {
				return false
			}
		}
	}
	for t, rules := range other.rules {
		if len(k.rules[t]) < len(rules) {
			return false
		}
	}
	for t := range other.known {
		if !k.known[t] {
			return false
		}
	}
	return true
}

// DropOwner forgets all of an owner that is gone.
func (k *Keeper) DropOwner(id owner.ID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, elements := range k.held {
		for at, e := range elements {
			if e.owner == id {
				delete(elements, at)
			}
		}
	}
	for t := range k.rules {
		k.rules[t] = slices.DeleteFunc(k.rules[t], func(r keptRule) bool { return r.owner == id })
	}
}

// Owners are the attachments that are known.
func (k *Keeper) Owners() (ids []owner.ID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	seen := map[owner.ID]bool{{}: true}
	for _, elements := range k.held {
		for _, e := range elements {
			if !seen[e.owner] {
				ids = append(ids, e.owner)
			}
			seen[e.owner] = true
		}
	}
	return ids
}

// Forwards says whether anybody claims to pass: then our anchor is in the chains of others.
func (k *Keeper) Forwards() bool { return k.knows(forward()) }

// IPTables says whether rules of package iptables are in nf_tables.
func (k *Keeper) IPTables() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.compat
}

// Guests says whether a table that was made anew led to chains of the operator's.
func (k *Keeper) Guests(made []string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.guests) > 0 && slices.Contains(made, forward().String())
}

// Forwarded says whether the transaction changed what containers pass in the chains FORWARD of iptables-nft: such a chain, or one of the operator's that is asked there.
func (k *Keeper) Forwarded(t *Told) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return t.Forwarded || slices.ContainsFunc(t.filled, func(chain string) bool { return chain == firewall.AdminChain || slices.Contains(k.guests, chain) })
}
