package etcd

import (
	"encoding/json"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/pkg/fault"
)

// keys are those of one network: base is /PREFIX/NETWORK/.
type keys struct{ base string }

func (k keys) of(key protocol.Key) string {
	switch key.Kind {
	case protocol.OfNode:
		return k.base + "node/" + key.Node
	case protocol.OfBlock:
		return k.blocks() + key.Block.String()
	}
	return k.base + "config"
}

func (k keys) blocks() string           { return k.base + "block/" }
func (k keys) nodes() string            { return k.base + "node/" }
func (k keys) alive(node string) string { return k.base + "alive/" + node }

// parse is of, backwards; false for a key that is none of these.
func (k keys) parse(text string) (protocol.Key, bool) {
	rest, ours := strings.CutPrefix(text, k.base)
	if !ours {
		return protocol.Key{}, false
	}
	if rest == "config" {
		return protocol.PoolKey(), true
	}
	if node, ok := strings.CutPrefix(rest, "node/"); ok {
		return protocol.NodeKey(node), node != ""
	}
	if block, ok := strings.CutPrefix(rest, "block/"); ok {
		id, err := pool.ParseID(block)
		return protocol.BlockKey(id), err == nil
	}
	return protocol.Key{}, false
}

// value is what a key holds, as it is written.
func value(e protocol.Entry) any {
	switch e.Key.Kind {
	case protocol.OfNode:
		return e.Record
	case protocol.OfBlock:
		return e.Owner
	}
	return e.Pool
}

// entry reads a key with its value. What it has beyond what this program knows is an error: it might be a condition.
func (k keys) entry(kv *mvccpb.KeyValue) (e protocol.Entry, ours bool, err error) {
	e.Key, ours = k.parse(string(kv.Key))
	if !ours {
		return e, false, nil
	}
	e.Revision = kv.ModRevision
	in := json.NewDecoder(strings.NewReader(string(kv.Value)))
	in.DisallowUnknownFields()
	switch e.Key.Kind {
	case protocol.OfNode:
		err = in.Decode(&e.Record)
	case protocol.OfBlock:
		err = in.Decode(&e.Owner)
	default:
		if err = in.Decode(&e.Pool); err == nil {
			err = e.Pool.Check()
		}
	}
	if err != nil {
		return e, true, fault.New(fault.Decoding, "was it written by a newer trestle-node, or by hand?", "etcd: key %s: %w", kv.Key, err)
	}
	return e, true, nil
}

// entries are the answers to gets of the keys, in their order, and to what was read beyond them.
func (s *Store) entries(asked []protocol.Key, answers []*etcdserverpb.ResponseOp) (list []protocol.Entry, err error) {
	for i, answer := range answers {
		got := answer.GetResponseRange()
		if got == nil {
			return nil, fmt.Errorf("etcd: answer %d: not to a get", i)
		}
		if i < len(asked) && len(got.Kvs) == 0 {
			list = append(list, protocol.Entry{Key: asked[i]})
		}
		for _, kv := range got.Kvs {
			e, ours, err := s.keys.entry(kv)
			if err != nil {
				return nil, err
			}
			if ours {
				list = append(list, e)
			}
		}
	}
	return list, nil
}
