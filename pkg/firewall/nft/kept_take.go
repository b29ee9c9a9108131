package nft

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Take takes in a transaction. ours says that one of our programs made it: what it removed is meant to be gone. Otherwise swept says that something of our
// tables went, or that a table was changed as a whole.
func (k *Keeper) Take(t *Told, ours bool) (swept bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.compat = k.compat || t.compat
	anew := t.anew()
	for _, m := range t.ours {
		if ours && anew[m.table] && m.kind == unix.NFT_MSG_DELTABLE {
			continue // what was in it went over
		}
		gone, failed := k.takeOne(m, ours)
		swept, err = swept || gone, errors.Join(err, failed)
	}
	return swept, err
}

// anew are the tables that were made in the transaction, be it after they were deleted.
func (t *Told) anew() map[*table]bool {
	tables := make(map[*table]bool)
	for _, m := range t.ours {
		if m.kind == unix.NFT_MSG_NEWTABLE {
			tables[m.table] = true
		}
	}
	return tables
}

func (k *Keeper) takeOne(m message, ours bool) (swept bool, err error) {
	switch m.kind {
	case unix.NFT_MSG_NEWSETELEM:
		return k.takeElements(m, ours), nil
	case unix.NFT_MSG_DELSETELEM:
		if ours {
			k.drop(m)
		}
		return !ours, nil
	case unix.NFT_MSG_NEWRULE, unix.NFT_MSG_DELRULE:
		switch {
		case ours && m.name == conditionals:
			return false, k.takeRule(m)
		case ours && m.name == guests && m.kind == unix.NFT_MSG_NEWRULE:
			return false, k.takeGuest(m)
		}
		return !ours && m.kind == unix.NFT_MSG_DELRULE && m.table.constant(m.name), nil
	case unix.NFT_MSG_DELCHAIN, unix.NFT_MSG_DELSET:
		return !ours, nil // with ours something comes in its place, or the table goes
	case unix.NFT_MSG_DELTABLE:
		// Ours delete a table when nobody holds anything in it, if not to make it anew.
		if swept = !ours || len(k.held[keyOf(m.table, attachments)]) > 0; !swept {
			delete(k.known, m.table.String())
		}
	case unix.NFT_MSG_NEWTABLE:
		swept = !ours && k.known[m.table.String()]
		if ours {
			k.known[m.table.String()] = true
		}
	}
	return swept, nil
}

// takeElements takes in elements that were made, or given a timeout.
func (k *Keeper) takeElements(m message, ours bool) (swept bool) {
	for _, e := range m.elements {
		switch {
		case dying(&e) && ours:
			k.drop(message{table: m.table, name: m.name, elements: []nftables.SetElement{e}})
		case dying(&e):
			swept = true
		case ours:
			k.put(keyOf(m.table, m.name), e)
		}
	}
	return swept
}

// drop forgets elements. With an attachment goes all that its owner held in the role, whatever of it was there to be removed.
func (k *Keeper) drop(m message) {
	set := k.held[keyOf(m.table, m.name)]
	for _, e := range m.elements {
		was, known := set[place(e)]
		if delete(set, place(e)); known && m.name == attachments {
			k.dropRole(was)
		}
	}
}

func (k *Keeper) dropRole(attachment kept) {
	for _, role := range firewall.Roles() {
		key := owner.Owner{ID: attachment.owner}.Key(string(role))
		if !bytes.Equal(key[:], attachment.Key) {
			continue
		}
		w, err := begin(owner.Owner{ID: attachment.owner}, role)
		if err != nil {
			return // no role of ours
		}
		for _, name := range w.sets {
			for at, e := range k.held[keyOf(w.table, name)] {
				if e.owner == attachment.owner {
					delete(k.held[keyOf(w.table, name)], at)
				}
			}
		}
		if role == firewall.Publish {
			k.rules[w.table.String()] = slices.DeleteFunc(k.rules[w.table.String()], func(r keptRule) bool { return r.owner == attachment.owner })
		}
	}
}

// takeRule takes in a rule that belongs to somebody. One that was put back has another number than before.
func (k *Keeper) takeRule(m message) error {
	name := m.table.String()
	if m.kind == unix.NFT_MSG_DELRULE {
		k.rules[name] = slices.DeleteFunc(k.rules[name], func(r keptRule) bool { return r.Handle == m.handle })
		return nil
	}
	rule, err := m.rule()
	if err != nil {
		return err
	}
	o, tagged := ruleOwner(rule)
	if !tagged {
		return nil
	}
	for i, r := range k.rules[name] {
		if r.alike(m.table, rule) {
			k.rules[name][i].Handle = rule.Handle
			return nil
		}
	}
	k.rules[name] = append(k.rules[name], keptRule{rule, o.ID})
	return nil
}

// takeGuest takes in a rule that leads to one of the operator's chains.
func (k *Keeper) takeGuest(m message) error {
	rule, err := m.rule()
	if err == nil && !slices.Contains(k.guests, strings.Join(leadsTo(rule), "")) {
		k.guests = append(k.guests, leadsTo(rule)...)
	}
	return err
}

// alike says whether a rule is the same, and the same owner's.
func (r keptRule) alike(t *table, other *nftables.Rule) bool {
	same, err := sameRule(byte(t.Family), r.Exprs, other.Exprs)
	return err == nil && same && bytes.Equal(r.UserData, other.UserData)
}
