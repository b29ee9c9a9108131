package nft

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Restore puts back, a transaction a table, what is known and is not there: the constant part first, then what belongs to nobody, and of each owner who is
// admitted all that is missing. What is there stays as it is, whoever made it.
func (k *Keeper) Restore(ctx context.Context, how firewall.Restoring) (firewall.Restored, error) {
	done := firewall.Restored{Owners: make(map[owner.ID]bool)}
	defer k.filter.lock()()
	for _, t := range everyTable() {
		if !k.knows(t) {
			continue
		}
		if left, err := k.filter.abandoned(t); left || err != nil {
			if err != nil {
				return done, err
			}
			continue
		}
		var draft firewall.Restored
		built, err := k.filter.rebuild(ctx, t, mend, func() ([]change, error) {
			draft = firewall.Restored{Owners: make(map[owner.ID]bool)}
			return k.lack(t, how, &draft)
		})
		if err != nil {
			return done, err
		}
		if built {
			draft.Tables = []string{t.String()}
		}
		done.Add(draft)
	}
	return done, nil
}

// note notes an element of the set that is put back.
func note(r *firewall.Restored, set string, e kept) {
	r.Owners[e.owner] = true
	if publishes(set) {
		r.Ports = append(r.Ports, portIn(element{SetElement: e.SetElement}))
	}
	if addr, ok := netip.AddrFromSlice(e.Key); ok && strings.HasPrefix(set, "masq") {
		r.Masqueraded = append(r.Masqueraded, addr)
	}
}

func (k *Keeper) knows(t *table) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known[t.String()]
}

// lack is what of a table's elements and rules is known and not there.
func (k *Keeper) lack(t *table, how firewall.Restoring, done *firewall.Restored) (changes []change, err error) {
	missing := make(map[*nftables.Set][]kept)
	barred := make(map[owner.ID]bool) // owners of whom somebody else has an address or a port by now
	linked := k.linked(t)
	for _, s := range t.sets {
		there, err := k.filter.conn.GetSetElements(s)
		if err != nil && !misses(err) {
			return nil, err
		}
		missing[s] = k.absent(t, s, there, barred)
	}
	for _, s := range t.sets {
		var put []nftables.SetElement
		for _, e := range missing[s] {
			switch {
			case barred[e.owner]:
				done.Partly = true
			case k.filter.leavesElement(s, e.Key):
			case e.owner == owner.ID{} || how.Admit(e.owner, linked[e.owner]):
				put = append(put, e.SetElement)
				note(done, s.Name, e)
			}
		}
		done.Elements += len(put)
		for chunk := range slices.Chunk(put, most) {
			changes = append(changes, func(c *nftables.Conn) error { return c.SetAddElements(s, chunk) })
		}
	}
	delete(done.Owners, owner.ID{})
	rules, err := k.lackRules(t, how, linked, barred, done)
	return append(changes, rules...), err
}

// linked are the owners of whom an attachment says that they live only if their host links do.
func (k *Keeper) linked(t *table) map[owner.ID]bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	linked := make(map[owner.ID]bool)
	for _, e := range k.held[keyOf(t, attachments)] {
		linked[e.owner] = linked[e.owner] || isLinked(&e.SetElement)
	}
	return linked
}

// most is how many elements go into one message, whose list has 64 KB at the most.
const most = 100

// absent are the elements of a set that are known and not there. Where another has the key, or in a set of ranges the address, that is noted.
func (k *Keeper) absent(t *table, s *nftables.Set, there []nftables.SetElement, barred map[owner.ID]bool) (list []kept) {
	has, whose := make(map[string]bool, len(there)), make(map[string]owner.ID)
	for _, e := range there {
		o, _ := owner.Parse(e.Comment)
		has[place(e)] = true
		whose[leading(s, e.Key)] = o.ID
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for at, e := range k.held[keyOf(t, s.Name)] {
		if id, taken := whose[leading(s, e.Key)]; taken && id != e.owner {
			barred[e.owner] = true
		}
		if !has[at] {
			list = append(list, e)
		}
	}
	return list
}

// leading is what of a key nobody else may have: all of it or, of a range, the address that it begins with.
func leading(s *nftables.Set, key []byte) string {
	if s.Interval {
		return string(key[:len(key)/2])
	}
	return string(key)
}

// lackRules are the rules that are known and not there.
func (k *Keeper) lackRules(t *table, how firewall.Restoring, linked, barred map[owner.ID]bool, done *firewall.Restored) (changes []change, err error) {
	k.mu.Lock()
	known := slices.Clone(k.rules[t.String()])
	k.mu.Unlock()
	if len(known) == 0 {
		return nil, nil
	}
	there, _, err := k.filter.conditionalRules(t)
	if err != nil && !misses(err) {
		return nil, err
	}
	for _, r := range known {
		is := func(other *nftables.Rule) bool { return r.alike(t, other) }
		if slices.ContainsFunc(there, is) || barred[r.owner] || k.filter.leavesRule(t, r.Rule) || !how.Admit(r.owner, linked[r.owner]) {
			continue
		}
		done.Rules++
		done.Owners[r.owner] = true
		changes = append(changes, appendRule(&nftables.Rule{Table: r.Table, Chain: r.Chain, Exprs: r.Exprs, UserData: r.UserData}))
	}
	return changes, nil
}
