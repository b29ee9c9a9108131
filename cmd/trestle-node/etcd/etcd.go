// Package etcd asks an etcd what package protocol wants asked: a request is one transaction. There is no lease but that of liveness, and no lock.
package etcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
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
	client    *clientv3.Client
	keys      keys
	timeout   time.Duration
	endpoints []string
	names     string
	identity  *tls.Config // nil: none
}

// Dial makes a client; it asks nothing yet.
func Dial(c Config) (*Store, error) {
	identity, err := identity(c)
	if err != nil {
		return nil, err
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: c.Endpoints, TLS: identity, Logger: zap.NewNop(),
		DialTimeout: c.Timeout, DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 5 * time.Second,
	})
	if err != nil {
		return nil, fault.New(fault.Config, "mend endpoints", "etcd: %s: %w", strings.Join(c.Endpoints, ", "), err)
	}
	s := Over(client, c)
	s.identity = identity
	return s, nil
}

// Over is the network's store over a client that others use, too.
func Over(client *clientv3.Client, c Config) *Store {
	k := keys{strings.TrimSuffix(c.Prefix, "/") + "/" + c.Network + "/"}
	return &Store{client: client, keys: k, timeout: c.Timeout, endpoints: c.Endpoints, names: strings.Join(c.Endpoints, ", ")}
}

// Close ends the client.
func (s *Store) Close() error { return s.client.Close() }

// identity is the TLS of a client with a certificate; nil where no file is named.
func identity(c Config) (*tls.Config, error) {
	if c.CAFile == "" && c.CertFile == "" && c.KeyFile == "" {
		return nil, nil
	}
	bad := func(key string, err error) error {
		return fault.New(fault.Config, "name files that can be read: caFile, and certFile with its keyFile", "%s: %w", key, err)
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		text, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, bad("caFile", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(text) {
			return nil, bad("caFile", fmt.Errorf("%s: has no certificate", c.CAFile))
		}
	}
	if c.CertFile != "" || c.KeyFile != "" {
		if _, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile); err != nil {
			return nil, bad("certFile", err)
		}
		out.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { // read each time: certificates are renewed
			pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
			return &pair, err
		}
	}
	return out, nil
}

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
