package firewalltest

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/slack"
)

// crowd is how many act at the same time where the backend names no number.
const crowd = 32

func (h *host) crowd() int {
	if h.Crowd > 0 {
		return h.Crowd
	}
	return slack.Crowd(crowd)
}

// atOnce calls f from the whole crowd, each with a filter of its own, and fails the test if one fails.
func (h *host) atOnce(f func(i int, own firewall.Filter) error) {
	h.Helper()
	errs := make([]error, h.crowd())
	filters := make([]firewall.Filter, h.crowd())
	for i := range filters {
		filters[i] = h.Open(h)
	}
	var start, done sync.WaitGroup
	start.Add(1)
	for i, own := range filters {
		done.Add(1)
		go func() {
			defer done.Done()
			start.Wait()
			errs[i] = errors.Join(f(i, own), own.Close())
		}()
	}
	start.Done()
	done.Wait()
	h.must(errors.Join(errs...))
}

// nth is an owner with what it claims.
func nth(i int) (owner.Owner, firewall.Claim, firewall.Claim) {
	o := owner.Of("net", fmt.Sprint("c", i), "eth0")
	addr := netip.AddrFrom4([4]byte{10, 1, 1, byte(i)})
	return o, masq(addr.String() + "/16"), publish(port(tcp, uint16(8000+i), addr.String()+":80"))
}

// virgin asks whether many can begin at once where there is nothing.
func virgin(h *host) {
	ctx := soon(h)
	h.atOnce(func(i int, own firewall.Filter) error {
		o, m, p := nth(i)
		_, err1 := own.Hold(ctx, o, m, alive)
		_, err2 := own.Hold(ctx, o, p, alive)
		return errors.Join(err1, err2)
	})
	h.must(h.Grounded(ctx))
	for i := range h.crowd() {
		o, m, p := nth(i)
		h.must(h.Held(ctx, o, m))
		h.must(h.Held(ctx, o, p))
	}
	h.atOnce(func(i int, own firewall.Filter) error {
		o, m, p := nth(i)
		if i%2 == 0 {
			p = empty(firewall.Publish)
		}
		return errors.Join(own.Drop(ctx, o, m), own.Drop(ctx, o, p))
	})
	h.wantOwners(firewall.Masquerade, "net")
	h.wantOwners(firewall.Publish, "net")
}

// mixed asks whether holding, dropping and looking disturb each other, and whether one port ever has two holders.
func mixed(h *host) {
	ctx := soon(h)
	contested := publish(port(tcp, 80, "10.1.0.2:80"))
	h.atOnce(func(i int, own firewall.Filter) error {
		o, m, _ := nth(i)
		for range 3 {
			if _, err := own.Hold(ctx, o, m, alive); err != nil {
				return err
			}
			if err := own.Held(ctx, o, m); err != nil {
				return err
			}
			_, err := own.Hold(ctx, o, contested, alive)
			if err != nil && fault.Code(err) != fault.Taken {
				return err
			}
			if err == nil {
				err = errors.Join(own.Held(ctx, o, contested), own.Drop(ctx, o, contested))
			} else {
				err = nil
			}
			if err := errors.Join(err, own.Drop(ctx, o, m)); err != nil {
				return err
			}
		}
		return nil
	})
	h.gone(a(), contested)
}

// shared asks whether one filter serves several at the same time.
func shared(h *host) {
	ctx := soon(h)
	errs := make(chan error, h.crowd())
	for i := range h.crowd() {
		go func() {
			o, m, p := nth(i)
			_, err1 := h.Hold(ctx, o, m, alive)
			_, err2 := h.Hold(ctx, o, p, alive)
			errs <- errors.Join(err1, err2, h.Held(ctx, o, m), h.Drop(ctx, o, m), h.Held(ctx, o, p), h.Drop(ctx, o, empty(p.Role)))
		}()
	}
	for range h.crowd() {
		h.must(<-errs)
	}
	h.wantOwners(firewall.Masquerade, "net")
	h.wantOwners(firewall.Publish, "net")
}

// wiped asks what happens when somebody flushes the ruleset.
func wiped(h *host) {
	ctx := h.Context()
	c := masq("10.1.0.2/24")
	h.hold(a(), c, true)
	h.Wipe(h)
	h.wantCode(h.Grounded(ctx), fault.Drift)
	h.wantCode(h.Held(ctx, a(), c), fault.Drift)
	h.holds(a(), c.Role, false)
	h.must(h.Drop(ctx, a(), c))
	h.must(h.Drop(ctx, a(), empty(c.Role)))
	h.wantOwners(c.Role, "net")
	h.hold(a(), c, true)
	h.must(h.Grounded(ctx))
	h.Wipe(h)
	h.must(h.Ground(ctx))
	h.must(h.Grounded(ctx))
	h.must(h.Ground(ctx))
	h.wantCode(h.Held(ctx, a(), c), fault.Drift, "10.1.0.2")
	h.Wipe(h)
	h.must(h.Unground(ctx))
}

// localnet sets route_localnet for lo, which every namespace has.
func localnet(t testing.TB, value string) {
	if err := os.WriteFile("/proc/sys/net/ipv4/conf/lo/route_localnet", []byte(value), 0o644); err != nil {
		t.Fatal(err)
	}
}

// unground asks when the constant part goes.
func unground(h *host) {
	ctx := h.Context()
	h.must(h.Unground(ctx))
	m, s := masq("10.1.0.2/24"), spoof("veth1", 2, 0, 0, 0, 0, 1)
	h.hold(a(), m, true)
	h.hold(a(), s, true)
	h.must(h.Unground(ctx))
	h.must(h.Grounded(ctx))
	h.must(h.Held(ctx, a(), m))
	h.must(h.Held(ctx, a(), s))
	h.must(h.Drop(ctx, a(), s))
	h.must(h.Drop(ctx, a(), m))
	localnet(h, "1")
	h.must(h.Unground(ctx))
	h.must(h.Grounded(ctx)) // the guard stays
	localnet(h, "0")
	h.must(h.Unground(ctx))
	h.wantCode(h.Grounded(ctx), fault.Drift)
	h.must(h.Unground(ctx))
	h.hold(a(), m, true)
}

// subnets asks that networks with subnets inside each other can be claimed in any order, be the inner one first, last or in the middle.
func subnets(h *host) {
	claims := []string{"10.1.1.2/24", "10.1.0.2/24", "10.1.0.3/16", "10.1.255.3/24", "10.255.255.4/24", "10.1.0.4/8", "192.168.0.5/32"}
	for i, addr := range claims {
		h.hold(owner.Of("net", fmt.Sprint("c", i), "eth0"), masq(addr), true)
	}
	for i, addr := range claims {
		h.must(h.Held(h.Context(), owner.Of("net", fmt.Sprint("c", i), "eth0"), masq(addr)))
	}
	h.hold(a(), masq("fd00::5/64", "fd00:0:0:1::5/64"), true)
	h.hold(b(), masq("fd00::6/48"), true)
	h.must(h.Held(h.Context(), a(), masq("fd00::5/64", "fd00:0:0:1::5/64")))
	// A subnet, and what is excepted, may become wider or narrower.
	for _, c := range []firewall.Claim{masq("10.9.5.2/24"), masq("10.9.5.2/16"), except(masq("10.9.5.2/16"), "172.16.5.0/24"),
		except(masq("10.9.5.2/24"), "172.16.0.0/12"), except(masq("10.9.5.2/24"), "172.16.5.0/24"), except(masq("10.9.5.2/24"), "10.0.0.0/8")} {
		h.hold(owner.Of("net", "changing", "eth0"), c, true)
	}
}
