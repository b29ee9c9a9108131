package nft

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/firewalltest"
	"github.com/trestle-cni/trestle/test/nstest"
)

func TestFilter(t *testing.T) {
	firewalltest.Run(t, firewalltest.Backend{
		Open: func(t testing.TB) firewall.Filter { return Open().Remember(t.TempDir()) },
		Wipe: func(t testing.TB) { nftool(t, "flush", "ruleset") },
	})
}

// TestExpiry looks at how elements go: by a timeout; and, where the kernel ignores that, by deletion.
func TestExpiry(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		f := held(t)
		c := three()[0]
		w, err := parse(somebody(), c)
		must(t, err)
		must(t, f.Drop(t.Context(), somebody(), c))
		if e, err := f.find(w.attachment.set, w.attachment.key); err != nil || e != nil && !dying(e) {
			t.Errorf("after a drop: %+v, %v, want none or one with a timeout", e, err)
		}
		if heeds := nstest.Since(t, 6, 12); f.deletes == heeds {
			t.Errorf("the kernel heeded a new timeout: %v, want %v", !f.deletes, heeds)
		}
		_, err = f.Hold(t.Context(), somebody(), c, nil)
		must(t, err)
		for _, e := range append(w.entries, w.attachment) {
			if found, err := f.find(e.set, e.key); err != nil || found == nil || dying(found) {
				t.Errorf("%s held again: %+v, %v, want one without a timeout", e.title, found, err)
			}
		}
		c.Promptly = true
		must(t, f.Drop(t.Context(), somebody(), c))
		if e, err := f.find(w.attachment.set, w.attachment.key); err != nil || e != nil {
			t.Errorf("after a drop by deletion: %+v, %v, want none", e, err)
		}
	})
}

// TestGeneration asks that a commit of somebody else between look and write makes us look again.
func TestGeneration(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		f := open(t)
		attempts := 0
		err := f.amend(t.Context(), inet(), mend, func() ([]change, error) {
			if attempts++; attempts < 4 {
				nftool(t, "add table inet other; delete table inet other")
			}
			return nil, nil
		})
		must(t, err)
		if attempts != 4 {
			t.Errorf("%d attempts, want 4", attempts)
		}
		must(t, f.Grounded(t.Context()))
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		nftool(t, "flush ruleset")
		err = f.amend(ctx, inet(), mend, func() ([]change, error) {
			nftool(t, "add table inet other; delete table inet other")
			return nil, nil
		})
		if fault.Code(err) != fault.TryLater {
			t.Errorf("disturbed in every attempt: %v, want a fault to try later", err)
		}
	})
}

// TestForeign asks that an element which is none of ours is never taken, nor removed.
func TestForeign(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		f := open(t)
		must(t, f.Ground(t.Context()))
		nftool(t, "add element inet trestle masq4 { 10.1.0.2 comment \"mine\" }")
		_, err := f.Hold(t.Context(), somebody(), three()[0], func(firewall.Holder) bool { return true })
		if fault.Code(err) != fault.Taken || !strings.Contains(err.Error(), `"mine"`) {
			t.Errorf("held by somebody unknown: %v, want a fault that quotes the comment", err)
		}
		must(t, f.Drop(t.Context(), somebody(), three()[0]))
		if text := nftool(t, "list set inet trestle masq4"); !strings.Contains(text, "10.1.0.2") {
			t.Errorf("after a drop:\n%s", text)
		}
	})
}

// TestReady tells a process without rights from one with them.
func TestReady(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		must(t, open(t).Ready(t.Context()))
		errs := make(chan error)
		go func() {
			runtime.LockOSThread() // never unlocked: the thread without rights ends with the goroutine
			header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var none [2]unix.CapUserData
			if err := unix.Capset(&header, &none[0]); err != nil {
				errs <- err
				return
			}
			f := Open()
			err := f.Ready(context.Background())
			_ = f.Close()
			errs <- err
		}()
		if err := <-errs; fault.Code(err) != fault.NoService || fault.Hint(err) == "" {
			t.Errorf("without rights: %v, want a fault that says so", err)
		}
	})
}

// TestGuardStays asks that the guard of the host's loopback stays while an interface has route_localnet.
func TestGuardStays(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		f := open(t)
		must(t, f.Ground(t.Context()))
		must(t, f.Grounded(t.Context()))
		localnet := func(value string) {
			must(t, os.WriteFile("/proc/sys/net/ipv4/conf/lo/route_localnet", []byte(value), 0o644))
		}
		localnet("1")
		must(t, f.Unground(t.Context()))
		must(t, f.Grounded(t.Context()))
		localnet("0")
		must(t, f.Unground(t.Context()))
		if err := f.Grounded(t.Context()); fault.Code(err) != fault.Drift {
			t.Errorf("after unground: %v, want drift", err)
		}
	})
}

// TestPublished asks which ports lead somewhere: whatever the claim says, those that the owner holds.
func TestPublished(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		f := held(t)
		c := three()[1]
		want := slices.Clone(c.Ports)
		for i, p := range want {
			want[i] = firewall.Port{Protocol: p.Protocol, HostIP: p.HostIP, HostPort: p.HostPort, Target: p.Target}
		}
		for name, hint := range map[string]firewall.Claim{"all": c, "none": {Role: c.Role}, "some": {Role: c.Role, Ports: c.Ports[:1]}} {
			got, err := f.Published(t.Context(), somebody(), hint)
			must(t, err)
			byPort := func(a, b firewall.Port) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }
			slices.SortFunc(got, byPort)
			slices.SortFunc(want, byPort)
			if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{})); diff != "" {
				t.Errorf("hint of %s (-want +got):\n%s", name, diff)
			}
		}
		must(t, f.Drop(t.Context(), somebody(), c))
		if got, err := f.Published(t.Context(), somebody(), c); len(got) != 0 || err != nil {
			t.Errorf("after a drop: %v, %v", got, err)
		}
	})
}
