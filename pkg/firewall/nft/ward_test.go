package nft

import (
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/test/nstest"
)

// TestWard makes the table for frames and nothing else, sees each change of it, and keeps it while a link relies on it though nobody holds anything.
func TestWard(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		f, ctx := open(t), t.Context()
		if err := f.Warded(ctx); fault.Code(err) != fault.Drift {
			t.Errorf("on a virgin host: %v, want a drift", err)
		}
		for _, do := range []string{"", "flush chain bridge trestle advertised", "flush chain bridge trestle antispoof", "delete table bridge trestle",
			"add table bridge trestle { flags dormant; }", "add chain bridge trestle more"} {
			if do != "" {
				nftool(t, do)
				if err := f.Warded(ctx); fault.Code(err) != fault.Drift {
					t.Errorf("after %q: %v, want a drift", do, err)
				}
			}
			for range 3 { // it builds, sees the whole, and remembers
				must(t, f.Ward(ctx))
			}
			must(t, f.Warded(ctx))
		}
		if text := nftool(t, "list", "ruleset"); strings.Contains(text, "table inet") {
			t.Errorf("made besides:\n%s", text)
		}
		link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "end", Group: firewall.Guarded}, PeerName: "peer"}
		must(t, netlink.LinkAdd(link))
		must(t, f.Unground(ctx))
		must(t, f.Warded(ctx))
		must(t, netlink.LinkDel(link))
		must(t, f.Unground(ctx))
		if left := nftool(t, "list", "ruleset"); left != "" {
			t.Errorf("after unground:\n%s", left)
		}
	})
}

// What one look has seen serves the other, and no longer than the next transaction.
func TestWardAndGround(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		f, ctx := remembering(t), t.Context()
		must(t, f.Ward(ctx))
		for _, do := range []string{"flush chain inet trestle guard", "flush chain bridge trestle antispoof"} {
			nftool(t, do)
			must(t, f.Ward(ctx))
			must(t, f.Ground(ctx))
			must(t, f.Grounded(ctx))
		}
	})
}
