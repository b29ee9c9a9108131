package step

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/site"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/peer"
	"github.com/trestle-cni/trestle/test/slack"
)

// publish is a claim of tcp port 8080 for the container's port 80.
func publish(o owner.Owner, linked bool) Claim {
	port := firewall.Port{Protocol: 6, HostPort: 8080, Target: netip.MustParseAddrPort("10.1.0.2:80"),
		Subnet: netip.MustParsePrefix("10.1.0.0/24"), SNAT: firewall.SNATHairpin}
	return Claim{Owner: o, Known: true, Claim: firewall.Claim{Role: firewall.Publish, Ports: []firewall.Port{port}, Linked: linked}}
}

// A plugin that wants nothing asks nothing: a host without a packet filter will do.
func TestIdleClaim(t *testing.T) {
	onHost(t, func(h *host) {
		s, err := site.Open(site.Options{Filter: func() (firewall.Filter, error) { return nil, errors.New("asked for") }})
		h.must(err)
		defer s.Close()
		idle := Claim{Owner: one, Known: true, Claim: firewall.Claim{Role: firewall.Publish}}
		created, err := idle.Apply(h.ctx, s)
		if created || errors.Join(err, idle.Guard(h.ctx, s), idle.Verify(h.ctx, s)) != nil {
			t.Errorf("created %v, %v", created, err)
		}
		idle.Known = false // as on DEL: then there may be something
		if err := idle.Undo(h.ctx, s); err == nil {
			t.Error("undone without a look")
		}
	})
}

// TestClaimGuard refuses what is there already, but for a role that several entries of a list may claim in: there, what was made in this life of the container is no
// obstacle, and what was made in an earlier one, or not known when, is.
func TestClaimGuard(t *testing.T) {
	onHost(t, func(h *host) {
		masq := Claim{Owner: one, Known: true, Claim: firewall.Claim{Role: firewall.Masquerade,
			Masq: []firewall.Masq{{Addr: netip.MustParseAddr("10.1.0.2"), Subnet: netip.MustParsePrefix("10.1.0.0/24")}}}}
		h.must(masq.Guard(h.ctx, h.Site))
		h.apply(masq)
		refuses(t, masq.Guard(h.ctx, h.Site), fault.Taken, "net/c1/eth0", "exists already")
		c := publish(one, false)
		h.must(c.Guard(h.ctx, h.Site))
		h.apply(c)
		h.must(c.Guard(h.ctx, h.Site))
		h.must(publish(owner.Of("net", "c2", "eth0"), false).Guard(h.ctx, h.Site))
		filter, err := h.Site.Filter()
		h.must(err)
		c.Life = "another"
		_, err = filter.Hold(h.ctx, one, c.Claim, nil)
		h.must(err)
		refuses(t, c.Guard(h.ctx, h.Site), fault.Taken, "net/c1/eth0", "exists already")
	})
}

// A DEL that knows no ports drops all that the owner holds, and nothing of others.
func TestClaimUndoUnknown(t *testing.T) {
	onHost(t, func(h *host) {
		other := publish(owner.Of("net", "c2", "eth0"), false)
		other.Ports[0].HostPort, other.Ports[0].Target = 8081, netip.MustParseAddrPort("10.1.0.3:80")
		h.apply(publish(one, false), other)
		unknown := Claim{Owner: one, Claim: firewall.Claim{Role: firewall.Publish}}
		for range 2 {
			h.must(unknown.Undo(h.ctx, h.Site))
		}
		refuses(t, publish(one, false).Verify(h.ctx, h.Site), fault.Drift)
		h.must(other.Verify(h.ctx, h.Site))
		got, err := unknown.Owners(h.ctx, h.Site, one.Network)
		h.must(err)
		if diff := cmp.Diff([]firewall.Holder{{Owner: other.Owner}}, got); diff != "" {
			t.Errorf("owners (-want +got):\n%s", diff)
		}
	})
}

// A port of a live owner is refused, with his name; one of an owner whose link is gone is taken over, with a line for the operator.
func TestClaimTakenOver(t *testing.T) {
	onHost(t, func(h *host) {
		var log strings.Builder
		s, err := site.Open(site.Options{Filter: h.Filter, Logf: func(format string, args ...any) { log.WriteString(format) }})
		h.must(err)
		h.apply(br, pair, publish(one, true))
		two := publish(owner.Of("net", "c2", "eth0"), true)
		_, err = two.Apply(h.ctx, s)
		refuses(t, err, fault.Taken, "8080", "net/c1/eth0")
		h.must(pair.Undo(h.ctx, h.Site))
		if created, err := two.Apply(h.ctx, s); !created || err != nil {
			t.Errorf("created %v, %v", created, err)
		}
		if !strings.Contains(log.String(), "taken over") {
			t.Errorf("the operator was told %q", log.String())
		}
		h.must(two.Verify(h.ctx, s))
	})
}

// No proof is not death: an owner that never had a link of ours lives for ever.
func TestDead(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br, pair)
		gone := owner.Of("net", "c2", "eth0")
		for _, c := range []struct {
			holder firewall.Holder
			dead   bool
		}{{firewall.Holder{Owner: one, Linked: true}, false}, {firewall.Holder{Owner: gone, Linked: true}, true}, {firewall.Holder{Owner: gone}, false}} {
			if Dead(h.Site, c.holder) != c.dead {
				t.Errorf("%+v: dead %v", c.holder, !c.dead)
			}
		}
	})
}

// The host's own programs reach a published port by 127.0.0.1, and the guard is there before that is allowed.
func TestLocalhost(t *testing.T) {
	onHost(t, func(h *host) {
		l := Localhost{Targets: []netip.Addr{netip.MustParseAddr("10.1.0.2")}}
		h.apply(l) // no route to the target yet: nothing to be allowed
		h.apply(br, gateway("10.1.0.1/24"), Forwarding{IPv4: true}, pair, addrs, pairUp, announceOne)
		refuses(t, l.Verify(h.ctx, h.Site), fault.Drift, "net/ipv4/conf/br0/route_localnet", "expected 1, found 0")
		filter, err := h.Filter()
		h.must(err)
		for range 2 {
			if created, err := l.Apply(h.ctx, h.Site); created || err != nil {
				t.Errorf("created %v, %v", created, err)
			}
			h.must(filter.Grounded(h.ctx))
		}
		h.must(l.Verify(h.ctx, h.Site))
		h.must(l.Ready(h.ctx, h.Site))
		h.apply(publish(one, true))
		h.must(nstest.In(h.netns, func() error {
			server, err := peer.Serve("c1", "tcp", "10.1.0.2:80")
			if err == nil {
				t.Cleanup(func() { server.Close() })
			}
			return err
		}))
		if got, err := peer.Ask("tcp", "127.0.0.1:8080", slack.Of(5*time.Second)); got != "c1 sees 10.1.0.1\n" || err != nil {
			t.Errorf("by 127.0.0.1: %q, %v", got, err)
		}
		h.must(l.Undo(h.ctx, h.Site))
		h.must(l.Verify(h.ctx, h.Site)) // the setting goes with the bridge
	})
}

// The setting without the guard is what CHECK and STATUS must cry out about (CVE-2020-8558).
func TestLocalhostWithoutGuard(t *testing.T) {
	onHost(t, func(h *host) {
		l := Localhost{Targets: []netip.Addr{netip.MustParseAddr("10.1.0.2")}}
		h.apply(br, gateway("10.1.0.1/24"), l)
		h.run("nft delete table inet trestle")
		refuses(t, l.Verify(h.ctx, h.Site), fault.Drift, "guard of 127.0.0.0/8")
		refuses(t, l.Ready(h.ctx, h.Site), fault.NoService, "net/ipv4/conf/br0/route_localnet", "guard")
		h.apply(l)
		h.must(l.Verify(h.ctx, h.Site))
		h.must(l.Ready(h.ctx, h.Site))
	})
}

// The constant part goes when nobody holds anything, and not before.
func TestTables(t *testing.T) {
	onHost(t, func(h *host) {
		before := h.snapshot()
		h.apply(Tables{}, publish(one, false))
		h.must(Tables{}.Undo(h.ctx, h.Site))
		h.must(publish(one, false).Verify(h.ctx, h.Site))
		h.must(publish(one, false).Undo(h.ctx, h.Site))
		for range 2 {
			h.must(Tables{}.Undo(h.ctx, h.Site))
		}
		h.same("swept", before)
	})
}

func TestNames(t *testing.T) {
	for want, step := range map[string]plan.Step{
		"published ports": publish(one, false), "masquerade": Claim{Claim: firewall.Claim{Role: firewall.Masquerade}},
		"antispoof": Claim{Claim: firewall.Claim{Role: firewall.Antispoof}}, "packet filter": Tables{}, "ports on 127.0.0.1": Localhost{}, "ports on ::1": Localhost6{},
		"bridge br0": br, "veth " + link + "<->eth0 on br0": pair, "links up": pairUp, "routes on eth0": routes, "gateway on br0": gateway(),
	} {
		if got := step.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
