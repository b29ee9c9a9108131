package nft

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
)

func from(prefix string) firewall.Condition {
	return firewall.Condition{Source: netip.MustParsePrefix(prefix)}
}

func under(p firewall.Port, conditions ...firewall.Condition) firewall.Port {
	p.Conditions = conditions
	return p
}

func not(c firewall.Condition) firewall.Condition {
	c.Not = true
	return c
}

// conditioned publishes a port under each kind of condition, and one under none.
func conditioned() firewall.Claim {
	link, start := firewall.Condition{Link: "eth0"}, firewall.Condition{Link: "eth+"}
	all, some := firewall.Condition{Mark: firewall.Mark{Value: 7, Mask: 0xffffffff}}, firewall.Condition{Mark: firewall.Mark{Value: 0x10, Mask: 0xf0}}
	to := firewall.Condition{Destination: netip.MustParsePrefix("192.0.2.1/32")}
	return firewall.Claim{Role: firewall.Publish, Linked: true, Ports: []firewall.Port{
		under(published(6, "", 8001, "10.1.0.2:80"), link), under(published(6, "", 8002, "10.1.0.2:80"), not(link), to),
		under(published(17, "192.0.2.1", 8003, "10.1.0.2:80"), start), under(published(17, "", 8004, "10.1.0.2:80"), not(start)),
		under(published(132, "", 8005, "10.1.0.2:80"), all), under(published(6, "", 8006, "10.1.0.2:80"), not(all)),
		under(published(6, "", 8007, "10.1.0.2:80"), some), under(published(6, "", 8008, "10.1.0.2:80"), not(some)),
		under(published(6, "", 8009, "10.1.0.2:80"), from("192.0.2.0/24"), not(from("192.0.2.128/25")), not(from("192.0.2.7/32")), not(to)),
		under(published(6, "2001:db8::1", 8010, "[fd00:1::2]:80"), from("2001:db8::/33"), not(from("2001:db8::7/128"))),
		published(6, "", 8011, "10.1.0.2:80"),
	}}
}

// TestConditions puts a claim with conditions through its life, holds the rules against what nft(8) says of them, and lets nft(8) write and
// read them.
func TestConditions(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		f := open(t)
		c := conditioned()
		for _, created := range []bool{true, false} {
			got, err := f.Hold(t.Context(), somebody(), c, nil)
			if err != nil || got != created {
				t.Fatalf("created %t, %v, want %t", got, err, created)
			}
			must(t, f.Held(t.Context(), somebody(), c))
		}
		text := nftool(t, "list", "chain", "inet", "trestle", conditionals)
		golden(t, "testdata/conditional.nft", text)
		file := filepath.Join(t.TempDir(), "ruleset")
		must(t, os.WriteFile(file, []byte(nftool(t, "list", "ruleset")), 0o600))
		nftool(t, "flush", "ruleset")
		nftool(t, "-f", file)
		if diff := cmp.Diff(text, nftool(t, "list", "chain", "inet", "trestle", conditionals)); diff != "" {
			t.Errorf("reloaded (-before +after):\n%s", diff)
		}
		must(t, f.Held(t.Context(), somebody(), c))
		led, err := f.Published(t.Context(), somebody(), firewall.Claim{Role: firewall.Publish})
		if err != nil || len(led) != len(c.Ports) {
			t.Errorf("published: %v, %v, want %d ports", led, err, len(c.Ports))
		}
		must(t, f.Drop(t.Context(), somebody(), firewall.Claim{Role: firewall.Publish}))
		if text := nftool(t, "list", "chain", "inet", "trestle", conditionals); strings.Contains(text, "dnat") {
			t.Errorf("after a drop:\n%s", text)
		}
		must(t, f.Unground(t.Context()))
	})
}

// TestConditionsChange asks what notices a change, what a repair keeps, and that a new claim replaces the old.
func TestConditionsChange(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		f := open(t)
		c, other := conditioned(), owner.Of("net", "two", "eth0")
		for _, o := range []owner.Owner{somebody(), other} {
			c.Ports = c.Ports[:10] // that without conditions can have one owner
			_, err := f.Hold(t.Context(), o, c, nil)
			if o == other { // the same target twice
				if fault.Code(err) != fault.Taken {
					t.Errorf("published targets of another: %v", err)
				}
				continue
			}
			must(t, err)
		}
		theirs := firewall.Claim{Role: firewall.Publish, Ports: []firewall.Port{under(published(6, "", 8001, "10.1.0.3:80"), from("192.0.2.0/24"))}}
		_, err := f.Hold(t.Context(), other, theirs, nil)
		must(t, err)
		nftool(t, "add rule inet trestle conditional accept")
		if err := f.Held(t.Context(), somebody(), c); err == nil || !strings.Contains(err.Error(), "none of ours: 1") {
			t.Errorf("a foreign rule: %v", err)
		}
		must(t, f.Ground(t.Context()))
		must(t, f.Held(t.Context(), somebody(), c))
		must(t, f.Held(t.Context(), other, theirs))
		nftool(t, "flush chain inet trestle conditional")
		if err := f.Held(t.Context(), other, theirs); fault.Code(err) != fault.Drift || !strings.Contains(err.Error(), "host port 8001/tcp under conditions") {
			t.Errorf("rules flushed: %v", err)
		}
		c.Ports = []firewall.Port{under(published(6, "", 8001, "10.1.0.2:80"), from("192.0.2.9/32"))}
		_, err = f.Hold(t.Context(), somebody(), c, nil)
		must(t, err)
		must(t, f.Held(t.Context(), somebody(), c))
		if text := nftool(t, "list", "chain", "inet", "trestle", conditionals); strings.Count(text, "dnat") != 1 {
			t.Errorf("after a new claim:\n%s", text)
		}
	})
}

// TestConditionsMeant publishes one port of three containers: for one client, for no other, and for all. Nobody's conditions are
// anybody else's.
func TestConditionsMeant(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		w := build(t)
		w.serve(w.one, "one", ":80")
		w.serve(w.two, "two", ":80")
		w.claim("one", firewall.Claim{Role: firewall.Publish, Ports: []firewall.Port{
			under(published(6, "", 8080, "10.1.0.2:80"), from("192.0.2.2/32")), under(published(6, "", 8080, "[fd00:1::2]:80"), not(from("2001:db8::/32"))),
			under(published(6, "", 8081, "10.1.0.2:80"), not(firewall.Condition{Link: "outside"}))}})
		w.claim("two", firewall.Claim{Role: firewall.Publish, Ports: []firewall.Port{
			published(6, "", 8080, "10.1.0.3:80"), published(6, "", 8080, "[fd00:1::3]:80"), published(6, "", 8081, "10.1.0.3:80")}})
		w.hears("meets", w.client, "tcp", "192.0.2.1:8080", "one saw 192.0.2.2")
		w.hears("does not meet", w.one, "tcp", "192.0.2.1:8080", "two saw 10.1.0.1")
		w.hears("does not meet", w.client, "tcp", "[2001:db8::1]:8080", "two saw 2001:db8::2")
		w.hears("meets", w.two, "tcp", "[2001:db8::1]:8080", "one saw fd00:1::1")
		w.hears("does not meet", w.client, "tcp", "192.0.2.1:8081", "two saw 192.0.2.2")
		w.hears("meets", w.two, "tcp", "192.0.2.1:8081", "one saw 10.1.0.1")
	})
}
