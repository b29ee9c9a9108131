package protocol

import (
	"errors"
	"fmt"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
)

// Look asks for the definition, the host's record and its blocks; with all, for every block's key, so that those are found that have the host's name
// without its knowledge.
func (s State) Look(all bool) Request {
	q := Request{Verb: Look, Read: []Key{PoolKey(), NodeKey(s.Node)}, All: all}
	for _, b := range s.Blocks {
		q.Read = append(q.Read, BlockKey(b.ID))
	}
	return q
}

// ErrDead is that somebody said of this very boot that it had ended. Addresses of ours may be others' now, and no store can take them from a kernel.
var ErrDead = errors.New("was declared dead while it ran: its blocks may be others' now")

// Register makes this boot the one that stands in the host's record, after what was seen of it.
func (s State) Register(seen Entry) (Request, error) {
	if seen.Revision != 0 && seen.Record.Dead && seen.Record.Boot == s.Boot {
		return Request{}, fmt.Errorf("node %s: %w", s.Node, ErrDead)
	}
	key := NodeKey(s.Node)
	return Request{
		Verb: Register,
		If:   []Compare{{Key: key, Revision: seen.Revision}},
		Put:  &Entry{Key: key, Record: Record{Boot: s.Boot, Via: s.Via}},
	}, nil
}

// Claim asks for a block that nobody has. A claim that is wanted already is the same again, by its first nonce: it is done once, however often it is sent.
func (s State) Claim(id pool.ID, nonce string) (State, Request, error) {
	b := s.Block(id)
	if err := s.registered(); err != nil {
		return s, Request{}, err
	}
	if s.Pool == 0 {
		return s, Request{}, errors.New("pool: is not known")
	}
	switch b.Phase {
	case 0:
		b.Phase, b.Nonce = Wanted, nonce
	case Wanted:
	default:
		return s, Request{}, fmt.Errorf("block %s: is %s already", id, b.Phase)
	}
	key := BlockKey(id)
	return s.with(b), Request{
		Verb: Claim,
		If:   []Compare{{Key: PoolKey(), Revision: s.Pool}, s.self(), {Key: key}},
		Put:  &Entry{Key: key, Owner: Owner{Node: s.Node, Nonce: b.Nonce, Via: s.Via}},
	}, nil
}

// Reopen asks to hand out of a closed block again. It moves the key's revision, so that whatever was sent for the old one, a deletion above all, fails
// when it arrives.
func (s State) Reopen(id pool.ID, nonce string) (Request, error) {
	b := s.Block(id)
	if err := s.registered(); err != nil {
		return Request{}, err
	}
	if b.Phase != Closed {
		return Request{}, fmt.Errorf("block %s: is %s, not closed", id, b.Phase)
	}
	key := BlockKey(id)
	return Request{
		Verb: Reopen,
		If:   []Compare{s.self(), {Key: key, Revision: b.Epoch}},
		Put:  &Entry{Key: key, Owner: Owner{Node: s.Node, Nonce: nonce, Via: s.Via}},
	}, nil
}

// GiveBack asks to make a closed block nobody's. Where another machine stands in the host's record by the time that this arrives, it may be in use there, at the very same
// epoch: a copy of this host's disk has the nonce of a claim that was under way, and finds it done.
func (s State) GiveBack(id pool.ID) (Request, error) {
	b := s.Block(id)
	if err := s.registered(); err != nil {
		return Request{}, err
	}
	if b.Phase != Closed {
		return Request{}, fmt.Errorf("block %s: is %s: close it first", id, b.Phase)
	}
	key := BlockKey(id)
	return Request{Verb: GiveBack, If: []Compare{s.self(), {Key: key, Revision: b.Epoch}}, Delete: &key}, nil
}

// BuryBoot asks to note that the boot in the record that was seen has ended. Whoever asks knows that from elsewhere: silence is no proof. A boot that has
// ended never comes back, so what is known stays true however late the note arrives; and if the host has registered again, it does not.
func BuryBoot(seen Entry) (Request, error) {
	switch {
	case seen.Revision == 0:
		return Request{}, fmt.Errorf("node %s: has no record", seen.Key.Node)
	case seen.Record.Dead:
		return Request{}, fmt.Errorf("node %s: is dead already", seen.Key.Node)
	}
	dead := Entry{Key: seen.Key, Record: seen.Record}
	dead.Record.Dead = true
	return Request{Verb: Bury, If: []Compare{{Key: seen.Key, Revision: seen.Revision}}, Put: &dead}, nil
}

// ReclaimOf asks to make a block of a dead host nobody's. The record is compared with the block: between one look and the other the host may have come
// back, and opened the block.
func ReclaimOf(dead, block Entry) (Request, error) {
	if !dead.Record.Dead || dead.Revision == 0 {
		return Request{}, fmt.Errorf("node %s: nobody said that it is dead", dead.Key.Node)
	}
	if block.Owner.Node != dead.Key.Node || block.Revision == 0 {
		return Request{}, fmt.Errorf("block %s: is not of node %s", block.Key.Block, dead.Key.Node)
	}
	return Request{
		Verb:   Reclaim,
		If:     []Compare{{Key: dead.Key, Revision: dead.Revision}, {Key: block.Key, Revision: block.Revision}},
		Delete: &block.Key,
	}, nil
}

// DefineAs asks to make the pool what next says. What it loses must have no owner, at that moment; claims by the old definition fail from then on.
func DefineAs(seen Entry, next pool.Definition) (Request, error) {
	q := Request{Verb: Define, If: []Compare{{Key: PoolKey(), Revision: seen.Revision}}, Put: &Entry{Key: PoolKey(), Pool: next}}
	if seen.Revision == 0 {
		return q, next.Check()
	}
	lost, err := seen.Pool.Change(next)
	for _, span := range lost {
		q.If = append(q.If, Compare{Key: BlockKey(span.First), Last: span.Last})
	}
	return q, err
}
