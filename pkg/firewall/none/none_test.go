package none

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

func TestNothingIsHeld(t *testing.T) {
	var f Filter
	ctx, o := t.Context(), owner.Of("net", "one", "eth0")
	c := firewall.Claim{Role: firewall.Masquerade, Masq: []firewall.Masq{{Addr: netip.MustParseAddr("10.1.0.2"), Subnet: netip.MustParsePrefix("10.1.0.0/24")}}}
	created, err := f.Hold(ctx, o, c, nil)
	for name, got := range map[string]struct {
		err  error
		code uint
	}{
		"hold":  {err, fault.Unsupported},
		"held":  {f.Held(ctx, o, c), fault.Drift},
		"ready": {f.Ready(ctx), fault.NoService},
	} {
		if fault.Code(got.err) != got.code || fault.Hint(got.err) == "" {
			t.Errorf("%s: %v (code %d, hint %q), want code %d and a hint", name, got.err, fault.Code(got.err), fault.Hint(got.err), got.code)
		}
	}
	holds, err := f.Holds(ctx, o, c.Role)
	owners, err2 := f.Owners(ctx, c.Role, o.Network)
	if err := errors.Join(err, err2); err != nil || created || holds || len(owners) > 0 {
		t.Errorf("created %t, holds %t, owners %v, error %v, want nothing", created, holds, owners, err)
	}
}

func TestNothingIsAsked(t *testing.T) {
	var f Filter
	ctx, o := t.Context(), owner.Of("net", "one", "eth0")
	_, held := f.Hold(ctx, o, firewall.Claim{Role: firewall.Publish}, nil)
	if err := errors.Join(held, f.Held(ctx, o, firewall.Claim{Role: firewall.Publish}), f.Drop(ctx, o, firewall.Claim{Role: firewall.Publish}),
		f.Ground(ctx), f.Grounded(ctx), f.Unground(ctx), f.Close()); err != nil {
		t.Error(err)
	}
}
