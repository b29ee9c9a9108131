package iptables

import (
	"slices"
	"strings"
	"testing"

	judge "github.com/coreos/go-iptables/iptables"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
)

// A library that runs the tool for each question, and that shares nothing with our writer and reader, is asked whether what we wrote is there.
func TestJudged(t *testing.T) {
	for name, l := range likenesses() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				run(t, "iptables", "-t", "nat", "-N", "KUBE-MARK-MASQ")
				run(t, "ip6tables", "-t", "nat", "-N", "KUBE-MARK-MASQ")
				f, o := opened(l.options), owner.Of("testnet", "ctr1", "eth0")
				_, err := f.Hold(t.Context(), o, dual(), nil)
				must(t, err)
				publish := firewall.Claim{Role: firewall.Publish, Ports: l.ports}
				if l.ports != nil {
					_, err = f.Hold(t.Context(), o, publish, nil)
					must(t, err)
				}
				for i, family := range families() {
					judged(t, f, family, []judge.Protocol{judge.ProtocolIPv4, judge.ProtocolIPv6}[i])
				}
				if l.ports != nil {
					hurt(t, f, o, publish)
				}
			})
		})
	}
}

// judged compares what we read of both tables with what the library lists, chain by chain and rule by rule, in order.
func judged(t *testing.T, f *Filter, family family, protocol judge.Protocol) {
	t.Helper()
	library, err := judge.NewWithProtocol(protocol)
	must(t, err)
	tool, err := f.find(t.Context(), family, "")
	must(t, err)
	s, err := tool.load(t.Context())
	must(t, err)
	for table, ours := range map[string]*ruleset{"nat": s.nat, "raw": s.raw} {
		chains, err := library.ListChains(table)
		must(t, err)
		if want, got := slices.Sorted(slices.Values(chains)), slices.Sorted(slices.Values(ours.names)); !slices.Equal(want, got) {
			t.Errorf("%s: chains of %s: %q, the library lists %q", family.program, table, got, want)
		}
		for _, chain := range chains {
			list, err := library.List(table, chain)
			must(t, err)
			var rules []string
			for _, line := range list {
				if spec, isRule := strings.CutPrefix(line, "-A "+chain+" "); isRule {
					rules = append(rules, spec)
				}
			}
			if !slices.Equal(rules, ours.chains[chain]) {
				t.Errorf("%s: %s of %s:\n%q\nthe library lists\n%q", family.program, chain, table, ours.chains[chain], rules)
			}
		}
	}
}

// hurt takes one rule away by the library, and wants us to miss it, and to make it again.
func hurt(t *testing.T, f *Filter, o owner.Owner, c firewall.Claim) {
	t.Helper()
	library, err := judge.New()
	must(t, err)
	n, _ := namesOf(o)
	must(t, library.DeleteById("nat", n.chains(firewall.Publish)[0], 1))
	if err := f.Held(t.Context(), o, c); err == nil {
		t.Error("a rule is gone, and nothing is missed")
	}
	if created, err := f.Hold(t.Context(), o, c, nil); !created || err != nil {
		t.Errorf("made again: %t, %v", created, err)
	}
	must(t, f.Held(t.Context(), o, c))
}

// Where nft has written into a table in its own words, iptables lists nothing of it, and says so by a comment with success. What is made there would
// not be found again: it is refused, and nothing is written. A DEL has nothing to find.
func TestBlind(t *testing.T) {
	for _, table := range []string{"nat", "raw"} {
		for _, family := range []string{"ip", "ip6"} {
			t.Run(family+"-"+table, func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) {
					run(t, "nft", "add table "+family+" "+table+"; add chain "+family+" "+table+" c; add rule "+family+" "+table+" c ct mark 5 accept")
					before := run(t, "nft", "list", "ruleset")
					f, o := open(), owner.Of("testnet", "ctr1", "eth0")
					publish := firewall.Claim{Role: firewall.Publish, Ports: both(unix.IPPROTO_TCP, 8080, "80")}
					for _, c := range []firewall.Claim{dual(), publish} {
						if _, err := f.Hold(t.Context(), o, c, nil); fault.Code(err) != fault.Unsupported {
							t.Errorf("%s: %v", c.Role, err)
						}
						must(t, f.Drop(t.Context(), o, c))
						must(t, f.Drop(t.Context(), o, firewall.Claim{Role: c.Role}))
					}
					if err := f.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "table "+table) {
						t.Errorf("ready: %v", err)
					}
					if after := run(t, "nft", "list", "ruleset"); !strings.Contains(after, "ct mark") || strings.Contains(after, "CNI-") || strings.Contains(after, "TRESTLE-") {
						t.Errorf("before:\n%s\nafter:\n%s", before, after)
					}
				})
			})
		}
	}
}
