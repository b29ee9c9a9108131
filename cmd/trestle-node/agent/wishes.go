package agent

import (
	"time"

	"github.com/trestle-cni/trestle/cmd/trestle-node/ledger"
	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
)

// Limits are how much a host keeps in hand.
type Limits struct {
	Spare     int           // blocks that are free
	MaxBlocks int           // of a family
	Rest      time.Duration // how long a block is kept before it is given back
}

// Wishes are what a host should do now, and when to ask again at the latest; the zero time: when something changes.
type Wishes struct {
	Claim   []pool.Family
	Release []pool.ID
	Later   time.Time
}

// WishesOf follow from what is in use alone. One more block is claimed when less is free than the spare ones have; one is given back when one more than
// the spare ones is empty, and the youngest has rested: containers that come and go move a block once in that time at the most.
func WishesOf(c ledger.Content, used map[pool.ID]int, l Limits, now time.Time) (w Wishes) {
	for _, f := range pool.Families {
		if c.Pool.Len(f) > 0 {
			w.family(c, used, l, now, f)
		}
	}
	return w
}

func (w *Wishes) family(c ledger.Content, used map[pool.ID]int, l Limits, now time.Time, f pool.Family) {
	blocks, free, room := 0, 0, c.Pool.Addresses(pool.ID{Family: f})
	var empty []pool.ID
	for _, b := range c.State.Blocks {
		if b.ID.Family != f {
			continue
		}
		blocks++
		if b.Phase != protocol.Open {
			continue
		}
		free += max(0, c.Pool.Addresses(b.ID)-used[b.ID])
		if used[b.ID] == 0 {
			empty = append(empty, b.ID)
		}
	}
	switch {
	case free < max(1, l.Spare*room):
		if blocks < l.MaxBlocks && !c.Pool.Frozen {
			w.Claim = append(w.Claim, f)
		}
	case len(empty) > max(1, l.Spare):
		w.giveBack(c, youngest(c, empty), l, now)
	}
}

// giveBack wishes the block away, now or when it has rested.
func (w *Wishes) giveBack(c ledger.Content, id pool.ID, l Limits, now time.Time) {
	at := c.Since[id].Add(l.Rest)
	if !now.Before(at) {
		w.Release = append(w.Release, id)
	} else if w.Later.IsZero() || at.Before(w.Later) {
		w.Later = at
	}
}

// youngest is the block that was opened last: those that were there first stay.
func youngest(c ledger.Content, ids []pool.ID) pool.ID {
	found := ids[0]
	for _, id := range ids[1:] {
		if !c.Since[id].Before(c.Since[found]) {
			found = id
		}
	}
	return found
}
