package agent

import (
	"context"
	"errors"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/pkg/fault"
)

// Forget notes that a node's boot has ended, and makes its blocks nobody's. Whoever calls it knows that that machine does not run: silence is no proof.
// Boot names which boot has ended; where it is "" the one in the record is meant, unless it was heard of lately.
func Forget(ctx context.Context, store Store, node, boot string) (freed []pool.ID, err error) {
	record, err := recordOf(ctx, store, node)
	if err != nil {
		return nil, err
	}
	if err := mayBury(ctx, store, record, boot); err != nil {
		return nil, err
	}
	if !record.Record.Dead {
		q, err := protocol.BuryBoot(record)
		if err != nil {
			return nil, err
		}
		if _, err := store.Do(ctx, q); err != nil { // its answer, too, is what the record says now
			return nil, err
		}
	}
	return reclaimAll(ctx, store, record)
}

func recordOf(ctx context.Context, store Store, node string) (protocol.Entry, error) {
	key := protocol.NodeKey(node)
	reply, err := store.Do(ctx, protocol.Request{Verb: protocol.Look, Read: []protocol.Key{key}})
	if err != nil {
		return protocol.Entry{}, err
	}
	record, _ := reply.Of(key)
	if record.Revision == 0 {
		return record, fault.New(fault.Config, "trestle-node list names those that have", "node %s: has no record", node)
	}
	return record, record.Unread
}

func mayBury(ctx context.Context, store Store, record protocol.Entry, boot string) error {
	node := record.Key.Node
	if boot != "" {
		if boot != record.Record.Boot {
			return fault.New(fault.Taken, "nothing is to be done: the machine has come back since", "node %s: its boot is %s, not %s", node, record.Record.Boot, boot)
		}
		return nil
	}
	alive, err := store.Alive(ctx, node)
	if err != nil {
		return err
	}
	if alive == record.Record.Boot && !record.Record.Dead {
		return fault.New(fault.Taken, "switch the machine off first; half a minute later this goes through. Or name the boot that has ended: --boot "+alive,
			"node %s: was heard of within half a minute", node)
	}
	return nil
}

// reclaimAll frees the blocks of the boot that was buried, as long as it is.
func reclaimAll(ctx context.Context, store Store, buried protocol.Entry) (freed []pool.ID, err error) {
	for range 5 {
		reply, err := store.Do(ctx, protocol.Request{Verb: protocol.Look, Read: []protocol.Key{buried.Key}, All: true})
		if err != nil {
			return freed, err
		}
		record, _ := reply.Of(buried.Key)
		if !record.Record.Dead || record.Record.Boot != buried.Record.Boot {
			return freed, fault.New(fault.Taken, "the machine is back: what it has is its own", "node %s: has registered anew meanwhile", buried.Key.Node)
		}
		left := 0
		for _, e := range reply.Entries {
			if e.Key.Kind != protocol.OfBlock || e.Owner.Node != buried.Key.Node {
				continue
			}
			left++
			q, err := protocol.ReclaimOf(record, e)
			if err != nil {
				return freed, err
			}
			done, err := store.Do(ctx, q)
			if err != nil {
				return freed, err
			}
			if done.Committed {
				freed = append(freed, e.Key.Block)
			}
		}
		if left == 0 {
			return freed, nil
		}
	}
	return freed, errors.New("node " + buried.Key.Node + ": its blocks change all the time")
}
