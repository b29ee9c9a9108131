package step

import (
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
)

// TestIsolation finds the link that is kept from others wherever it stands in the result, refuses a container without one before anything is made, and ends
// what a link is when it is out of use.
func TestIsolation(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br, pair)
		h.run("ip link add veth9 type veth peer name far")
		before := h.snapshot()
		for name, links := range map[string][]string{"bridge": {"br0", link}, "bridge last": {"bwp0", link, "br0"}, "routed": {"veth9"}} {
			step := Isolation{Links: links, Ingress: firewall.SameBridge}
			h.must(step.Guard(h.ctx, h.Site))
			refuses(h, step.Verify(h.ctx, h.Site), fault.Drift, map[bool]string{true: "veth9", false: "br0"}[name == "routed"])
			if created, err := step.Apply(h.ctx, h.Site); err != nil || !created {
				h.Fatalf("%s: created %v, %v", name, created, err)
			}
			if created, err := step.Apply(h.ctx, h.Site); err != nil || created {
				h.Errorf("%s: applied again: created %v, %v", name, created, err)
			}
			h.must(step.Verify(h.ctx, h.Site))
			h.vacates(step)
		}
		for _, links := range [][]string{nil, {"br0"}, {"eth0"}} {
			step := Isolation{Links: links, Ingress: firewall.Isolated}
			refuses(h, step.Guard(h.ctx, h.Site), fault.Unsupported, "ingressPolicy: isolated", "prevResult")
		}
		filter, err := h.Filter()
		h.must(err)
		h.must(filter.Unground(h.ctx))
		h.same("out of use", before)
	})
}

// vacates wants what the link is to stay while somebody else uses it, and to go with the last.
func (h *host) vacates(step Isolation) {
	h.Helper()
	stranger := Isolation{Ingress: step.Ingress}
	if vacant, err := stranger.Vacant(h.ctx, h.Site); err != nil || vacant {
		h.Errorf("%v is vacant to a stranger: %v, %v", step.Links, vacant, err)
	}
	h.must(stranger.Undo(h.ctx, h.Site))
	h.must(step.Verify(h.ctx, h.Site))
	if vacant, err := step.Vacant(h.ctx, h.Site); err != nil || !vacant {
		h.Errorf("%v is not vacant to its last user: %v, %v", step.Links, vacant, err)
	}
	h.must(step.Undo(h.ctx, h.Site))
	refuses(h, step.Verify(h.ctx, h.Site), fault.Drift)
}

// TestIsolationIsStrict wants a link that is isolated from itself to stay so when somebody asks for less.
func TestIsolationIsStrict(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br, pair)
		same := Isolation{Links: []string{"br0", link}, Ingress: firewall.SameBridge}
		alone := same
		alone.Ingress = firewall.Isolated
		h.apply(same)
		refuses(h, alone.Verify(h.ctx, h.Site), fault.Drift)
		h.apply(alone)
		made := h.snapshot()
		h.apply(same)
		h.same("asked for less", made)
		h.must(alone.Verify(h.ctx, h.Site))
		h.run("ip link del " + link)
		h.must(alone.Undo(h.ctx, h.Site)) // a bridge without a port keeps nobody from anybody
		refuses(h, alone.filterHas(h), fault.Drift)
	})
}

func (i Isolation) filterHas(h *host) error {
	filter, err := i.filter(h.Site)
	h.must(err)
	return filter.Isolated(h.ctx, "br0", i.Ingress)
}
