// Package etcd asks an etcd what package protocol wants asked: a request is one transaction. There is no lease but that of liveness, and no lock.
package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/pkg/fault"
)

// Config says where an etcd is, and who we are to it.
type Config struct {
	Endpoints                 []string
	Prefix                    string // of all keys, as in /cni
	Network                   string
	CAFile, CertFile, KeyFile string
	Timeout                   time.Duration // of one request
}

// Store is one network's keys.
type Store struct {
	client  *clientv3.Client
	keys    keys
	timeout time.Duration
	files   Config // by which a connection is made
	names   string // of the endpoints
}

// pauses are those between connections that failed: by itself gRPC lets two minutes pass at last, so long after an etcd came back.
var pauses = backoff.Config{BaseDelay: 250 * time.Millisecond, Multiplier: 2, Jitter: 0.5, MaxDelay: 10 * time.Second}

// Dial makes a client; it asks nothing yet.
func Dial(c Config) (*Store, error) {
	now, err := identity(c)
	if err != nil {
		return nil, err
	}
	conf := clientv3.Config{
		Endpoints: c.Endpoints, TLS: now, Logger: zap.NewNop(),
		DialTimeout: c.Timeout, DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 5 * time.Second,
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{Backoff: pauses, MinConnectTimeout: c.Timeout})},
	}
	if now != nil && strings.HasPrefix(c.Endpoints[0], "https://") { // the first decides for all, as in the client
		conf.DialOptions = append(conf.DialOptions, grpc.WithTransportCredentials(renewed{credentials.NewTLS(now), c}))
	}
	client, err := clientv3.New(conf)
	if err != nil {
		return nil, fault.New(fault.Config, "mend endpoints", "etcd: %s: %w", strings.Join(c.Endpoints, ", "), err)
	}
	return Over(client, c), nil
}

// Over is the network's store over a client that others use, too.
func Over(client *clientv3.Client, c Config) *Store {
	k := keys{strings.TrimSuffix(c.Prefix, "/") + "/" + c.Network + "/"}
	return &Store{client: client, keys: k, timeout: c.Timeout, files: c, names: strings.Join(c.Endpoints, ", ")}
}

// Close ends the client.
func (s *Store) Close() error { return s.client.Close() }

// Do asks once. After an error nobody knows whether it was done, or will be.
func (s *Store) Do(ctx context.Context, q protocol.Request) (protocol.Reply, error) {
	ctx, stop := context.WithTimeout(ctx, s.timeout)
	defer stop()
	compares, then, otherwise, err := s.transaction(q)
	if err != nil {
		return protocol.Reply{}, err
	}
	answer, err := s.client.Txn(ctx).If(compares...).Then(then...).Else(otherwise...).Commit()
	if err != nil {
		return protocol.Reply{}, s.explain(err)
	}
	reply := protocol.Reply{
		Committed: answer.Succeeded,
		Revision:  answer.Header.Revision,
		Mark:      protocol.Mark{Cluster: answer.Header.ClusterId, Latest: answer.Header.Revision},
	}
	if answer.Succeeded && q.Verb != protocol.Look {
		return reply, nil
	}
	asked := q.Read
	if !answer.Succeeded {
		asked = compared(q)
	}
	reply.Entries, err = s.entries(asked, answer.Responses)
	return reply, err
}

// transaction is the request in etcd's words.
func (s *Store) transaction(q protocol.Request) (compares []clientv3.Cmp, then, otherwise []clientv3.Op, err error) {
	for _, c := range q.If {
		compare := clientv3.Compare(clientv3.ModRevision(s.keys.of(c.Key)), "=", c.Revision)
		if c.Last != (pool.ID{}) {
			compare = compare.WithRange(s.keys.of(protocol.BlockKey(c.Last)) + "\x00")
		}
		compares = append(compares, compare)
	}
	for _, key := range compared(q) {
		otherwise = append(otherwise, clientv3.OpGet(s.keys.of(key)))
	}
	for _, key := range q.Read {
		then = append(then, clientv3.OpGet(s.keys.of(key)))
	}
	if q.All {
		then = append(then, clientv3.OpGet(s.keys.blocks(), clientv3.WithPrefix()))
	}
	if q.Put != nil {
		text, err := json.Marshal(value(*q.Put))
		if err != nil {
			return nil, nil, nil, err
		}
		then = append(then, clientv3.OpPut(s.keys.of(q.Put.Key), string(text)))
	}
	if q.Delete != nil {
		then = append(then, clientv3.OpDelete(s.keys.of(*q.Delete)))
	}
	return compares, then, otherwise, nil
}

// compared are the single keys that the request compares: what a refusal has to show.
func compared(q protocol.Request) (list []protocol.Key) {
	for _, c := range q.If {
		if c.Last == (pool.ID{}) {
			list = append(list, c.Key)
		}
	}
	return list
}

// explain gives an error of the client its class.
func (s *Store) explain(err error) error {
	var known rpctypes.EtcdError
	code := status.Code(err)
	if errors.As(err, &known) {
		code = known.Code()
	}
	switch {
	case errors.Is(err, rpctypes.ErrPermissionDenied), errors.Is(err, rpctypes.ErrUserEmpty), code == codes.Unauthenticated, code == codes.PermissionDenied:
		return fault.New(fault.Config, "give this host's certificate or user the right to read and write below the prefix", "etcd: %s: %w", s.names, err)
	case errors.Is(err, rpctypes.ErrNoSpace):
		return fault.New(fault.TryLater, "compact and defragment etcd, then disarm its alarm", "etcd: %s: %w", s.names, err)
	}
	if code != codes.Canceled && !errors.Is(err, context.Canceled) {
		if why := s.cause(context.Background()); why != nil {
			err = fmt.Errorf("%w: %w", err, why)
		}
	}
	if errors.Is(err, errTLS) {
		return fault.New(fault.Config, "caFile must have the CA of etcd's certificate, which must name the endpoint; certFile and keyFile one that etcd's CA has signed",
			"etcd: %s: no answer: %w", s.names, err)
	}
	return fault.New(fault.TryLater, "is etcd up, and does it have a leader? What this host has goes on meanwhile", "etcd: %s: no answer: %w", s.names, err)
}
