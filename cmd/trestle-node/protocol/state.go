package protocol

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
)

// Phase is what a host makes of a block.
type Phase uint8

// The phases. There is no other way into Open than a write of ours that the store has acknowledged.
const (
	Wanted Phase = iota + 1 // a claim was sent, or is about to be, and nothing is known of it
	Closed                  // its key has our name; nothing is handed out of it
	Open                    // host-local hands out of it
)

var phases = [...]string{"absent", "wanted", "closed", "open"}

func (p Phase) String() string { return phases[p] }

// MarshalText is String, for JSON.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (p *Phase) UnmarshalText(text []byte) error {
	i := slices.Index(phases[:], string(text))
	if i < int(Wanted) {
		return fmt.Errorf("phase %q: must be one of %s", text, phases[Wanted:])
	}
	*p = Phase(i)
	return nil
}

// Block is what a host knows of one.
type Block struct {
	ID    pool.ID `json:"id"`
	Phase Phase   `json:"phase"`
	Epoch int64   `json:"epoch,omitempty"` // the revision of its key, as the host knows it
	Nonce string  `json:"claim,omitempty"` // of the claim that is wanted
}

// State is what a host knows, and all that it must know after a crash. Its methods return the next one and what is to be asked. Who calls them makes
// the state durable, and what host-local reads, before the request is sent; has one request out at a time; and gives its answer to Answer, or forgets it
// when none came: then whether it was done shows in a later answer.
type State struct {
	Node   string       `json:"node"`
	Boot   string       `json:"boot"`
	Via    []netip.Addr `json:"via,omitempty"`
	Record int64        `json:"record"` // the revision under which this boot stands in the host's record; 0: it does not
	Pool   int64        `json:"pool"`   // the revision of the definition by which blocks are claimed
	Blocks []Block      `json:"blocks"` // by ID
}

// Restart is the state of a host whose agent starts, from what was durable. After another boot nothing is open: what host-local reads went with it.
func (s State) Restart(boot string) State {
	if s.Boot != boot {
		s.Boot, s.Record = boot, 0
		s.Blocks = closed(s.Blocks)
	}
	return s
}

func closed(blocks []Block) []Block {
	blocks = slices.Clone(blocks)
	for i := range blocks {
		if blocks[i].Phase == Open {
			blocks[i].Phase = Closed
		}
	}
	return blocks
}

// Opened are the blocks that are.
func (s State) Opened() (ids []pool.ID) {
	for _, b := range s.Blocks {
		if b.Phase == Open {
			ids = append(ids, b.ID)
		}
	}
	return ids
}

// Again is the state of a host that says anew, to a store which has gone back, that it has these blocks, and no other: what was in doubt may be another's since, and
// what the backup has under this host's name it may have given back. Definition and record are what the store has now.
func (s State) Again(definition, record Entry, had []pool.ID, nonce func() string) State {
	s.Pool, s.Record, s.Blocks = definition.Revision, 0, nil
	if record.Record.Boot == s.Boot && !record.Record.Dead {
		s.Record = record.Revision
	}
	for _, id := range had {
		s = s.with(Block{ID: id, Phase: Wanted, Nonce: nonce()})
	}
	return s
}

// Block is what the state has of the block; its Phase is 0 where that is nothing.
func (s State) Block(id pool.ID) Block {
	if i, ok := s.find(id); ok {
		return s.Blocks[i]
	}
	return Block{ID: id}
}

func (s State) find(id pool.ID) (int, bool) {
	return slices.BinarySearchFunc(s.Blocks, id, func(b Block, id pool.ID) int { return b.ID.Compare(id) })
}

// with is the state with this of the block; without, when its Phase is 0.
func (s State) with(b Block) State {
	i, ok := s.find(b.ID)
	s.Blocks = slices.Clone(s.Blocks)
	switch {
	case ok && b.Phase == 0:
		s.Blocks = slices.Delete(s.Blocks, i, i+1)
	case ok:
		s.Blocks[i] = b
	case b.Phase != 0:
		s.Blocks = slices.Insert(s.Blocks, i, b)
	}
	return s
}

// Close takes an open block out of use. It may be given back when what host-local reads has been without it, and then nothing of it is in use.
func (s State) Close(id pool.ID) (State, error) {
	b := s.Block(id)
	if b.Phase != Open {
		return s, fmt.Errorf("block %s: is %s, not open", id, b.Phase)
	}
	b.Phase = Closed
	return s.with(b), nil
}

// OwnUnread is why nothing must be done by what was shown: what concerns the host itself is not all known. What is unread of others concerns them: a block whose
// key nobody can read is somebody else's, whoever has written it.
func (s State) OwnUnread(shown []Entry) error {
	for _, e := range shown {
		if e.Unread != nil && (e.Key == NodeKey(s.Node) || e.Owner.Node == s.Node) {
			return e.Unread
		}
	}
	return nil
}

// IsName says whether the text can be a host's or a network's name: part of a key, of a file's name, and of what is printed.
func IsName(text string) bool {
	ok := text != "" && len(text) <= 253 && text != "." && text != ".."
	for _, c := range []byte(text) {
		ok = ok && (c == '.' || c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z')
	}
	return ok
}

// self is the compare that this boot stands in the host's record, and is not said to be dead: who says so moves its revision.
func (s State) self() Compare { return Compare{Key: NodeKey(s.Node), Revision: s.Record} }

func (s State) registered() error {
	if s.Record == 0 {
		return fmt.Errorf("node %s: is not registered", s.Node)
	}
	return nil
}
