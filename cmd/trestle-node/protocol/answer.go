package protocol

import "github.com/trestle-cni/trestle/cmd/trestle-node/pool"

// Answer is the state after the store's answer to what was asked.
func (s State) Answer(q Request, r Reply) State {
	if r.Committed && q.Verb != Look {
		return s.done(q, r.Revision)
	}
	seen := make(map[Key]Entry, len(r.Entries))
	for _, e := range r.Entries {
		seen[e.Key] = e
	}
	before := s
	if e, ok := seen[NodeKey(s.Node)]; ok {
		s = s.learnRecord(e)
	}
	if e, ok := seen[PoolKey()]; ok {
		s.Pool = e.Revision
	}
	if q.All { // a key that a look at all has not got is not there
		for _, b := range s.Blocks {
			if key := BlockKey(b.ID); seen[key].Revision == 0 {
				seen[key] = Entry{Key: key}
			}
		}
	}
	same := s.Record == before.Record && s.Pool == before.Pool
	for key, e := range seen {
		mayLand := same && e.Revision == 0 && s.Block(key.Block).Phase == Wanted // the claim that nobody answered still holds, whenever it arrives
		if key.Kind == OfBlock && !mayLand {
			s = s.learnBlock(e, q)
		}
	}
	return s
}

// done is the state after a request that was committed.
func (s State) done(q Request, revision int64) State {
	switch q.Verb {
	case Register:
		s.Record = revision
	case Claim, Reopen:
		return s.with(Block{ID: q.Put.Key.Block, Phase: Open, Epoch: revision})
	case GiveBack:
		return s.with(Block{ID: q.Delete.Block})
	}
	return s
}

// learnRecord takes note of the host's own record. Where this boot does not stand in it as living, nothing of ours stays open.
func (s State) learnRecord(e Entry) State {
	switch {
	case e.Revision == s.Record && s.Record != 0:
	case e.Revision != 0 && e.Record.Boot == s.Boot && !e.Record.Dead: // a registration that was done, and not answered
		s.Record = e.Revision
	default:
		s.Record, s.Blocks = 0, closed(s.Blocks)
	}
	return s
}

// learnBlock takes note of a block's key. With our name and the nonce of what was just asked, it is the answer that was lost. With our name otherwise it
// is ours and closed, whatever is still under way: only Reopen gets it from there. An open block whose key is another's now, which no sequence of ours
// leads to, is closed, too.
func (s State) learnBlock(e Entry, q Request) State {
	id := e.Key.Block
	b := s.Block(id)
	switch {
	case e.Revision == 0 || e.Owner.Node != s.Node:
		return s.with(Block{ID: id})
	case s.Record != 0 && asked(q, id) == e.Owner.Nonce && e.Owner.Nonce != "":
		return s.with(Block{ID: id, Phase: Open, Epoch: e.Revision})
	case b.Phase == Open && b.Epoch == e.Revision:
		return s
	}
	return s.with(Block{ID: id, Phase: Closed, Epoch: e.Revision})
}

// asked is the nonce with which the request asked for the block.
func asked(q Request, id pool.ID) string {
	if q.Put == nil || q.Put.Key != BlockKey(id) {
		return ""
	}
	return q.Put.Owner.Nonce
}
