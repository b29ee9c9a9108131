package etcd

import (
	"bytes"
	"encoding/json"
	"errors"
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
		return protocol.NodeKey(node), protocol.IsName(node)
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

// entry reads a key with its value. What that has beyond what this program knows might be a condition: of the definition, by which all hosts go, it is an
// error; a block or a record is unread, which is a matter of the host whose it is. So nobody who can write one key stops them all.
func (k keys) entry(kv *mvccpb.KeyValue) (e protocol.Entry, ours bool, err error) {
	e.Key, ours = k.parse(string(kv.Key))
	if !ours {
		return e, false, nil
	}
	e.Revision = kv.ModRevision
	switch e.Key.Kind {
	case protocol.OfNode:
		e.Unread = unread(kv, decode(kv, &e.Record))
	case protocol.OfBlock:
		err := decode(kv, &e.Owner)
		if !protocol.IsName(e.Owner.Node) {
			err = errors.Join(err, fmt.Errorf("node %q: is no name", e.Owner.Node))
			e.Owner = protocol.Owner{} // nobody that we know
		}
		e.Unread = unread(kv, err)
	default:
		if err = decode(kv, &e.Pool); err == nil {
			err = e.Pool.Check()
		}
		return e, true, unread(kv, err)
	}
	return e, true, nil
}

// decode reads as much as it can: where there is more than that it is an error, too.
func decode(kv *mvccpb.KeyValue, to any) error {
	in := json.NewDecoder(bytes.NewReader(kv.Value))
	in.DisallowUnknownFields()
	if err := in.Decode(to); err != nil {
		_ = json.Unmarshal(kv.Value, to)
		return err
	}
	return nil
}

func unread(kv *mvccpb.KeyValue, err error) error {
	if err == nil {
		return nil
	}
	return fault.New(fault.Decoding, "was it written by a newer trestle-node, or by hand?", "etcd: key %q: %w", kv.Key, err)
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
