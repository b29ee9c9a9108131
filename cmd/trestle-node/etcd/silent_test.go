package etcd

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/slack"
)

// Whatever is asked of an etcd that takes the connection, and says nothing, ends in its time, with what may help.
func TestNothingWaitsForASilentStore(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	const timeout = 300 * time.Millisecond
	s, err := Dial(Config{Endpoints: []string{"http://" + silent.Addr().String()}, Prefix: "/cni", Network: "pods", Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for name, ask := range map[string]func(context.Context) error{
		"Do": func(ctx context.Context) error {
			_, err := s.Do(ctx, protocol.Request{Verb: protocol.Look, Read: []protocol.Key{protocol.PoolKey()}})
			return err
		},
		"Alive":   func(ctx context.Context) error { _, err := s.Alive(ctx, "n1"); return err },
		"Nodes":   func(ctx context.Context) error { _, _, err := s.Nodes(ctx); return err },
		"Breathe": func(ctx context.Context) error { return s.Breathe(ctx, "n1", "boot", time.Minute) },
		"Watch": func(ctx context.Context) error {
			return s.Watch(ctx, "n1", true, 1, func(protocol.Entry) {})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, stop := context.WithTimeout(context.Background(), slack.Of(20*time.Second))
			defer stop()
			err := ask(ctx)
			if ctx.Err() != nil {
				t.Fatalf("it was waited for to the end: %v", err)
			}
			if fault.Code(err) != fault.TryLater || !strings.Contains(err.Error(), silent.Addr().String()+": no answer") || fault.Hint(err) == "" {
				t.Errorf("%v", err)
			}
		})
	}
}
