package host

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/iptables"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
)

func somebody() owner.Owner { return owner.Of("net", "ctr1", "eth0") }

func claims() []firewall.Claim {
	subnet := netip.MustParsePrefix("10.1.0.0/24")
	return []firewall.Claim{
		{Role: firewall.Masquerade, Masq: []firewall.Masq{{Addr: netip.MustParseAddr("10.1.0.2"), Subnet: subnet}}},
		{Role: firewall.Publish, Ports: []firewall.Port{{Protocol: unix.IPPROTO_TCP, HostPort: 8080,
			Target: netip.MustParseAddrPort("10.1.0.2:80"), Subnet: subnet, SNAT: firewall.SNATHairpin}}},
		{Role: firewall.Antispoof, Spoof: []firewall.Spoof{{Link: "veth1", MAC: []byte{2, 0, 0, 0, 0, 1}}}},
	}
}

func open(t testing.TB, b Backend) *Filter {
	f := Open(Choice{Backend: b, IPTables: iptables.Options{MarkBit: iptables.DefaultMarkBit}})
	t.Cleanup(func() { must(t, f.Close()) })
	return f
}

// TestSwitch makes everything under one backend and removes it under the other.
func TestSwitch(t *testing.T) {
	for _, way := range [][2]Backend{{NFTables, IPTables}, {IPTables, NFTables}, {IPTables, Unchosen}} {
		t.Run(fmt.Sprintf("%s-%s", way[0], way[1]), func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				before, now, ctx := open(t, way[0]), open(t, way[1]), t.Context()
				for _, c := range claims() {
					_, err := before.Hold(ctx, somebody(), c, nil)
					must(t, err)
					held, err := now.Holds(ctx, somebody(), c.Role)
					list, err2 := now.Owners(ctx, c.Role, somebody().ID.Network)
					if err != nil || err2 != nil || !held || len(list) != 1 {
						t.Errorf("%s under another backend: held %t, %v, owners %v, %v", c.Role, held, err, list, err2)
					}
					must(t, now.Drop(ctx, somebody(), firewall.Claim{Role: c.Role}))
					if held, err = before.Holds(ctx, somebody(), c.Role); held || err != nil {
						t.Errorf("%s after the drop: held %t, %v", c.Role, held, err)
					}
				}
				must(t, now.Unground(ctx))
				if text := rules(t); strings.Contains(text, "trestle") || strings.Contains(text, "TRESTLE") || strings.Contains(text, "CNI-") {
					t.Errorf("left:\n%s", text)
				}
			})
		})
	}
}

// TestVirgin wants a DEL and a GC on a virgin host to make nothing, and to succeed without any tool.
func TestVirgin(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		os.Setenv("PATH", "/nowhere")
		for _, b := range []Backend{Unchosen, NFTables, IPTables} {
			f, ctx := open(t, b), t.Context()
			for _, c := range claims() {
				must(t, f.Drop(ctx, somebody(), c))
				must(t, f.Drop(ctx, somebody(), firewall.Claim{Role: c.Role}))
				_, err := f.Owners(ctx, c.Role, somebody().ID.Network)
				must(t, err)
			}
			must(t, f.Unground(ctx))
		}
		os.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
		if text := rules(t); text != "" {
			t.Errorf("made:\n%s", text)
		}
	})
}

// TestEmptied wants a chain that the reference left without a rule to be in nobody's way.
func TestEmptied(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		run(t, "iptables", "-t", "nat", "-N", "CNI-HOSTPORT-DNAT")
		f := open(t, NFTables)
		created, err := f.Hold(t.Context(), somebody(), claims()[1], nil)
		if !created || err != nil {
			t.Errorf("beside an empty chain: created %t, %v", created, err)
		}
		foreign, err := f.iptables.Foreign(t.Context())
		if len(foreign) > 0 || err != nil {
			t.Errorf("ports in an empty chain: %v, %v", foreign, err)
		}
	})
}

// TestTaken wants a port to be refused that a container has under iptables or by the reference, and to be given when that is provably dead.
func TestTaken(t *testing.T) {
	for name, plant := range map[string]func(testing.TB){
		"reference-nft": func(t testing.TB) {
			run(t, "nft", `add table ip cni_hostport; add chain ip cni_hostport hostports;
				add rule ip cni_hostport hostports tcp dport 8080 dnat to 10.9.0.2:80 comment "ghost"`)
		},
		"reference-iptables": func(t testing.TB) {
			run(t, "iptables-restore", "--noflush")
		},
	} {
		for _, b := range []Backend{NFTables, IPTables} {
			t.Run(fmt.Sprintf("%s-%s", name, b), func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) {
					plant(t)
					f, c := open(t, b), claims()[1]
					_, err := f.Hold(t.Context(), somebody(), c, nil)
					if fault.Code(err) != fault.Taken || !strings.Contains(err.Error(), "ghost") || !strings.Contains(err.Error(), "8080") {
						t.Fatalf("a port of the reference's: %v, want a fault that names container and port", err)
					}
					other := c
					other.Ports = []firewall.Port{c.Ports[0]}
					other.Ports[0].HostPort, other.Ports[0].Target = 8081, netip.MustParseAddrPort("10.1.0.3:81")
					_, err = f.Hold(t.Context(), owner.Of("net", "ctr2", "eth0"), other, nil)
					must(t, err)
					must(t, os.MkdirAll(cache.Dir, 0o755))
					cached := `{"kind": "cniCacheV1", "networkName": "far", "containerId": "ghost", "ifName": "eth0",
						"result": {"interfaces": [{"name": "br0"}, {"name": "veth0"}, {"name": "eth0", "sandbox": "/x"}]}}`
					must(t, os.WriteFile(filepath.Join(cache.Dir, "far-ghost-eth0"), []byte(cached), 0o600))
					veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "veth0"}, PeerName: "peer"}
					must(t, netlink.LinkAdd(veth))
					if _, err = f.Hold(t.Context(), somebody(), c, nil); fault.Code(err) != fault.Taken {
						t.Errorf("its link is there: %v, want it taken", err)
					}
					must(t, netlink.LinkDel(veth))
					_, err = f.Hold(t.Context(), somebody(), c, nil)
					must(t, err)
					if text := rules(t); strings.Contains(text, "10.9.0.2") {
						t.Errorf("the dead one's rule is before ours:\n%s", text)
					}
				})
			})
		}
	}
}

// TestOtherBackend wants a port that one of ours has under one backend to be refused under the other, and to be given when he is dead.
func TestOtherBackend(t *testing.T) {
	for _, way := range [][2]Backend{{NFTables, IPTables}, {IPTables, NFTables}} {
		t.Run(fmt.Sprintf("%s-%s", way[0], way[1]), func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				first, second, ctx := open(t, way[0]), open(t, way[1]), t.Context()
				c, two := claims()[1], claims()[1]
				c.Linked = true
				_, err := first.Hold(ctx, somebody(), c, nil)
				must(t, err)
				other := owner.Of("far", "ctr2", "eth0")
				two.Ports[0].Target = netip.MustParseAddrPort("10.1.0.3:80")
				_, err = second.Hold(ctx, other, two, func(firewall.Holder) bool { return false })
				if fault.Code(err) != fault.Taken || !strings.Contains(err.Error(), somebody().Text) || !strings.Contains(err.Error(), "8080") {
					t.Fatalf("a port under the other backend: %v, want a fault that names its owner", err)
				}
				var asked []firewall.Holder
				_, err = second.Hold(ctx, other, two, func(h firewall.Holder) bool { asked = append(asked, h); return true })
				must(t, err)
				if len(asked) != 1 || asked[0].ID != somebody().ID || !asked[0].Linked {
					t.Errorf("was asked whether %v are dead", asked)
				}
				if held, err := first.Holds(ctx, somebody(), c.Role); held || err != nil {
					t.Errorf("the dead one holds it still: %t, %v", held, err)
				}
				must(t, second.Held(ctx, other, two))
			})
		})
	}
}

// referenceRules are what the reference leaves for a container that it calls ghost.
const referenceRules = `*nat
:CNI-HOSTPORT-DNAT - [0:0]
:CNI-DN-ec9db8dd05b050c10577c - [0:0]
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \"far\" id: \"ghost\"" -m multiport --dports 8080 -j CNI-DN-ec9db8dd05b050c10577c
-A CNI-DN-ec9db8dd05b050c10577c -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.9.0.2:80
COMMIT
`

func run(t testing.TB, program string, args ...string) {
	t.Helper()
	nstest.Program(t, referenceRules, program, args...)
}

func rules(t testing.TB) string {
	t.Helper()
	return nstest.Program(t, "", "nft", "list", "ruleset")
}

var must = nstest.Must
