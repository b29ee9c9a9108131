package etcd

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
)

// Watch calls changed with each key of the network that changed after the revision, with Revision 0 for one that went, until ctx ends, the store has no
// leader, or it has forgotten that revision: then look, and watch anew. Where others' blocks are no matter, only the definition and the node's own record
// are watched.
func (s *Store) Watch(ctx context.Context, node string, others bool, after int64, changed func(protocol.Entry)) error {
	ctx, stop := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer stop()
	late := time.AfterFunc(s.timeout, stop) // each is begun when etcd says so
	from := clientv3.WithRev(after + 1)
	own, pool := s.client.Watch(ctx, s.keys.of(protocol.NodeKey(node)), from), s.client.Watch(ctx, s.keys.of(protocol.PoolKey()), from)
	var blocks clientv3.WatchChan
	if others {
		blocks = s.client.Watch(ctx, s.keys.blocks(), clientv3.WithPrefix(), from)
	}
	if !late.Stop() {
		return s.explain(context.DeadlineExceeded)
	}
	for {
		var batch clientv3.WatchResponse
		var open bool
		select {
		case batch, open = <-own:
		case batch, open = <-pool:
		case batch, open = <-blocks:
		}
		if !open {
			return ctx.Err()
		}
		if err := batch.Err(); err != nil {
			return s.explain(err)
		}
		for _, ev := range batch.Events {
			if err := s.tell(ev, changed); err != nil {
				return err
			}
		}
	}
}

func (s *Store) tell(ev *clientv3.Event, changed func(protocol.Entry)) error {
	if ev.Type == clientv3.EventTypeDelete {
		if key, ours := s.keys.parse(string(ev.Kv.Key)); ours {
			changed(protocol.Entry{Key: key})
		}
		return nil
	}
	e, ours, err := s.keys.entry(ev.Kv)
	if err == nil && ours {
		changed(e)
	}
	return err
}
