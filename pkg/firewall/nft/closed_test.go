package nft

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// TestClosed asks that whatever a filter is asked after Close ends, and says why.
func TestClosed(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		o, ctx := owner.Of("net", "one", "eth0"), t.Context()
		c := firewall.Claim{Role: firewall.Masquerade, Masq: []firewall.Masq{{Addr: netip.MustParseAddr("10.1.0.2"), Subnet: netip.MustParsePrefix("10.1.0.0/24")}}}
		f := Open()
		if _, err := f.Hold(ctx, o, c, nil); err != nil {
			t.Fatal(err)
		}
		f.Close()
		for name, ask := range map[string]func() error{
			"Ready":    func() error { return f.Ready(ctx) },
			"Ground":   func() error { return f.Ground(ctx) },
			"Grounded": func() error { return f.Grounded(ctx) },
			"Unground": func() error { return f.Unground(ctx) },
			"Hold":     func() error { _, err := f.Hold(ctx, o, c, nil); return err },
			"Held":     func() error { return f.Held(ctx, o, c) },
			"Holds":    func() error { _, err := f.Holds(ctx, o, c.Role); return err },
			"Owners":   func() error { _, err := f.Owners(ctx, c.Role, [8]byte{}); return err },
			"Drop":     func() error { return f.Drop(ctx, o, c) },
		} {
			answer := make(chan error, 1)
			go func() { answer <- ask() }()
			select {
			case err := <-answer:
				if !errors.Is(err, unix.EBADF) {
					t.Errorf("%s: %v, want %v", name, err, unix.EBADF)
				}
			case <-time.After(slack.Of(10 * time.Second)):
				t.Fatalf("%s: it has not ended", name)
			}
		}
	})
}
