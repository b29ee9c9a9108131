package etcd

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
)

// Alive is the boot under which a host of that name was heard of lately; "" for none. It decides nothing but whether a second machine with a name that is
// in use is let in, and whether a burial is refused that names no boot.
func (s *Store) Alive(ctx context.Context, node string) (boot string, err error) {
	ctx, stop := context.WithTimeout(ctx, s.timeout)
	defer stop()
	got, err := s.client.Get(ctx, s.keys.alive(node))
	if err != nil {
		return "", s.explain(err)
	}
	if len(got.Kvs) == 0 {
		return "", nil
	}
	return string(got.Kvs[0].Value), nil
}

// Breathe says that the boot lives, until ctx ends; then, and where it is not heard for as long as ttl, the word goes. It returns when the lease is lost, or when
// what answers has gone back: a restored backup, or a member that lags behind, and only a look tells which.
func (s *Store) Breathe(ctx context.Context, node, boot string, ttl time.Duration) error {
	soon, stop := context.WithTimeout(ctx, s.timeout)
	defer stop()
	lease, err := s.client.Grant(soon, int64(ttl/time.Second))
	if err != nil {
		return s.explain(err)
	}
	put, err := s.client.Put(soon, s.keys.alive(node), boot, clientv3.WithLease(lease.ID))
	if err != nil {
		return s.explain(err)
	}
	heard, err := s.client.KeepAlive(ctx, lease.ID)
	if err != nil {
		return s.explain(err)
	}
	for latest := put.Header.Revision; ; {
		beat, ok := <-heard
		switch {
		case !ok:
			return ctx.Err()
		case beat.ClusterId != put.Header.ClusterId || beat.Revision < latest:
			return fmt.Errorf("etcd: %s: was at revision %d, and is at %d", s.names, latest, beat.Revision)
		}
		latest = beat.Revision
	}
}

// Nodes are the records of all hosts, and the boots under which they are heard of.
func (s *Store) Nodes(ctx context.Context) (records []protocol.Entry, alive map[string]string, err error) {
	ctx, stop := context.WithTimeout(ctx, s.timeout)
	defer stop()
	got, err := s.client.Txn(ctx).Then(clientv3.OpGet(s.keys.nodes(), clientv3.WithPrefix()), clientv3.OpGet(s.keys.alive(""), clientv3.WithPrefix())).Commit()
	if err != nil {
		return nil, nil, s.explain(err)
	}
	alive = make(map[string]string)
	for _, kv := range got.Responses[1].GetResponseRange().Kvs {
		alive[string(kv.Key[len(s.keys.alive("")):])] = string(kv.Value)
	}
	records, err = s.entries(nil, got.Responses[:1])
	return records, alive, err
}
