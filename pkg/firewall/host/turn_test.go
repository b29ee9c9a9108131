package host

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/iptables"
	"github.com/trestle-cni/trestle/pkg/kernel/filelock"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// TestOneQueue wants whoever writes by iptables to wait while somebody who lost has his turn, under whichever backend: both write to one nf_tables, and
// what the one commits is in vain for the other.
func TestOneQueue(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		f, c := open(t, IPTables), claims()[0]
		turn, err := filelock.Open(filepath.Join(iptables.Run, firewall.Turn))
		must(t, err)
		take := func(how int) { must(t, unix.Flock(int(turn.Fd()), how)) }
		take(unix.LOCK_EX)
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		held := make(chan error)
		go func() {
			_, err := f.Hold(ctx, somebody(), c, nil)
			held <- err
		}()
		waits(t, held)
		if text := rules(t); strings.Contains(text, "TRESTLE") {
			t.Errorf("written out of turn:\n%s", text)
		}
		take(unix.LOCK_UN)
		must(t, <-held)
		take(unix.LOCK_EX)
		go func() { held <- open(t, NFTables).Drop(ctx, somebody(), firewall.Claim{Role: c.Role}) }()
		waits(t, held)
		if there, err := f.Holds(t.Context(), somebody(), c.Role); !there || err != nil {
			t.Errorf("removed out of turn: %t, %v", there, err)
		}
		stop() // who gives up waiting has not removed anything, and says so
		if err := <-held; err == nil {
			t.Error("a drop that was given up reports success")
		}
		take(unix.LOCK_UN)
		must(t, f.Drop(t.Context(), somebody(), firewall.Claim{Role: c.Role}))
	})
}

// impatience is how long is waited to see that nothing comes.
const impatience = 300 * time.Millisecond

// waits fails the test where the call is over while it is somebody else's turn.
func waits(t *testing.T, over <-chan error) {
	t.Helper()
	select {
	case err := <-over:
		t.Fatalf("over out of turn: %v", err)
	case <-time.After(impatience):
	}
}

// TestCrowdSwitches has a crowd claim under both backends, each who is done dropped by the other backend, all at the same time.
func TestCrowdSwitches(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		crowd := slack.Crowd(24)
		done := make(chan error)
		for i := range crowd {
			before, after := open(t, []Backend{NFTables, IPTables}[i%2]), open(t, []Backend{IPTables, NFTables}[i%2])
			go func() {
				o, c := owner.Of("net", fmt.Sprint("ctr", i), "eth0"), claims()[0]
				c.Masq[0].Addr = netip.AddrFrom4([4]byte{10, 1, 0, byte(2 + i)})
				_, err := before.Hold(t.Context(), o, c, nil)
				if err == nil {
					err = after.Drop(t.Context(), o, firewall.Claim{Role: c.Role})
				}
				done <- err
			}()
		}
		for range crowd {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		must(t, open(t, NFTables).Unground(t.Context()))
		if text := rules(t); strings.Contains(text, "ctr") {
			t.Errorf("left:\n%s", text)
		}
	})
}
