package iptables

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
)

// bared is an interface's claim of which nothing is published, and the filter of its configuration.
type bared struct {
	*Filter
	owner owner.Owner
	claim firewall.Claim
}

func bareOf(ifName, addr string, asked ...Asked) bared {
	return bared{opened(Options{MarkBit: DefaultMarkBit, Asked: asked}), owner.Of("testnet", "ctr1", ifName),
		firewall.Claim{Role: firewall.Publish, Bare: []firewall.Bare{{Addr: netip.MustParseAddr(addr), SNAT: firewall.SNATHairpin}}}}
}

func (b bared) held(t *testing.T) error { return b.Held(t.Context(), b.owner, b.claim) }

func (b bared) hold(t *testing.T) {
	t.Helper()
	_, err := b.Hold(t.Context(), b.owner, b.claim, nil)
	must(t, err)
}

// TestBare wants a container of which nothing is published to be known and missed as any other: each of its rules, its ledger, and who has them.
func TestBare(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		b := bareOf("eth0", "10.22.0.2", Asked{"tcp", 8080}, Asked{"udp", 53})
		b.hold(t)
		must(t, b.held(t))
		if created, err := b.Hold(t.Context(), b.owner, b.claim, nil); created || err != nil {
			t.Errorf("held twice: created %v, %v", created, err)
		}
		if list, err := b.Owners(t.Context(), firewall.Publish, [8]byte{}); err != nil || len(list) != 1 || list[0].ID != b.owner.ID {
			t.Errorf("owners %v, %v", list, err)
		}
		for _, r := range everyRule(t) {
			restore(t, r.program, "*"+r.table+"\n-D "+r.text+"\nCOMMIT\n")
			if err := b.held(t); fault.Code(err) != fault.Drift {
				t.Errorf("%s -t %s: nobody misses the rule %s: %v", r.program, r.table, r.text, err)
			}
			b.hold(t)
			must(t, b.held(t))
		}
		must(t, b.Drop(t.Context(), b.owner, firewall.Claim{Role: firewall.Publish}))
		b.leaves(t)
	})
}

// TestBareSiblings wants two interfaces of a container, which share the chain, to come and go independently where nothing is published of one or of both.
func TestBareSiblings(t *testing.T) {
	published := bareOf("eth0", "10.22.0.2", Asked{"tcp", 8080})
	published.claim = firewall.Claim{Role: firewall.Publish, Ports: []firewall.Port{four(6, 8080, "80")}}
	for name, pair := range map[string][2]bared{
		"both":     {bareOf("eth0", "10.22.0.2", Asked{"tcp", 8080}), bareOf("eth1", "10.22.0.3", Asked{"tcp", 9090}, Asked{"udp", 53})},
		"the same": {bareOf("eth0", "10.22.0.2", Asked{"tcp", 8080}), bareOf("eth1", "10.22.0.3", Asked{"tcp", 8080})},
		"one":      {published, bareOf("eth1", "10.22.0.3", Asked{"tcp", 9090})},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			nstest.Run(t, func(t *testing.T) {
				for _, b := range pair {
					b.hold(t)
				}
				for i, goes := range pair {
					stays := pair[1-i]
					must(t, goes.held(t))
					must(t, goes.Drop(t.Context(), goes.owner, firewall.Claim{Role: firewall.Publish}))
					must(t, stays.held(t))
					goes.hold(t)
				}
				for _, b := range pair {
					must(t, b.held(t))
				}
				for _, b := range pair {
					must(t, b.Drop(t.Context(), b.owner, firewall.Claim{Role: firewall.Publish}))
				}
				pair[0].leaves(t)
			})
		})
	}
}

func (b bared) leaves(t *testing.T) {
	t.Helper()
	text := listing(t) + run(t, "iptables-save", "-t", "raw")
	if n, _ := namesOf(b.owner); strings.Contains(text, n.dnatChain()) || strings.Contains(text, "ctr1") {
		t.Errorf("left:\n%s", text)
	}
}
