package etcd

import (
	"context"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
)

// Pools are those of all networks below the prefix, by name. From one network the next is found by the first key behind it, so that nobody's blocks are read.
// What cannot be read is nobody's to hold against another.
func (s *Store) Pools(ctx context.Context) (map[string]pool.Definition, error) {
	ctx, stop := context.WithTimeout(ctx, s.timeout)
	defer stop()
	root, found := strings.TrimSuffix(s.files.Prefix, "/")+"/", make(map[string]pool.Definition)
	for from := root; ; {
		first, err := s.client.Get(ctx, from, clientv3.WithRange(clientv3.GetPrefixRangeEnd(root)), clientv3.WithLimit(1), clientv3.WithKeysOnly())
		if err != nil {
			return nil, s.explain(err)
		}
		if len(first.Kvs) == 0 {
			return found, nil
		}
		name, _, inside := strings.Cut(string(first.Kvs[0].Key[len(root):]), "/")
		if !inside {
			from = root + name + "\x00"
			continue
		}
		k := keys{root + name + "/"}
		got, err := s.client.Get(ctx, k.base+"config")
		if err != nil {
			return nil, s.explain(err)
		}
		for _, kv := range got.Kvs {
			if e, ours, err := k.entry(kv); ours && err == nil {
				found[name] = e.Pool
			}
		}
		from = root + name + "0" // which is what comes after a slash
	}
}
