package step

import (
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/owner"
)

var ownLoopback = Loopback{Owner: one}

// A lo that somebody else set up is not ours to take down, nor to find fault with.
func TestLoopbackOfSomebodyElse(t *testing.T) {
	onHost(t, func(h *host) {
		h.inside("ip link set lo up")
		h.inside("ip addr del 127.0.0.1/8 dev lo")
		before := h.snapshot()
		if created, err := ownLoopback.Apply(h.ctx, h.Site); created || err != nil {
			t.Errorf("created %v, %v", created, err)
		}
		h.must(ownLoopback.Verify(h.ctx, h.Site))
		h.must(ownLoopback.Undo(h.ctx, h.Site))
		h.same("afterwards", before)
	})
}

// While another interface of the container is up, lo stays; the DEL that comes after that one has gone takes it down.
func TestLoopbackInUseStays(t *testing.T) {
	onHost(t, func(h *host) {
		before := h.snapshot()
		h.apply(ownLoopback)
		h.inside("ip link add eth0 up type bridge")
		h.must(ownLoopback.Undo(h.ctx, h.Site))
		h.must(ownLoopback.Verify(h.ctx, h.Site))
		h.inside("ip link set eth0 down")
		h.inside("ip link del eth0")
		h.must(ownLoopback.Undo(h.ctx, h.Site))
		h.same("afterwards", before)
	})
}

// Two attachments share a lo: it stays, whichever of them goes first.
func TestLoopbackOfTwo(t *testing.T) {
	onHost(t, func(h *host) {
		second := Loopback{Owner: owner.Of("other", "c1", "lo")}
		h.apply(ownLoopback, second)
		for _, l := range []Loopback{ownLoopback, second} {
			h.must(l.Undo(h.ctx, h.Site))
			h.must(l.Verify(h.ctx, h.Site))
		}
	})
}

// The mark inside a container does not say what the container, or its network, is called on the host.
func TestLoopbackMark(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(ownLoopback)
		if got := h.inside("ip link show lo"); strings.Contains(got, one.Text) || !strings.Contains(got, "alias t1 ") {
			t.Error(got)
		}
	})
}

func TestLoopbackWithoutIPv6(t *testing.T) {
	onHost(t, func(h *host) {
		h.inside("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.lo.disable_ipv6=1")
		before := h.snapshot()
		h.apply(ownLoopback)
		h.must(ownLoopback.Verify(h.ctx, h.Site))
		h.must(ownLoopback.Undo(h.ctx, h.Site))
		h.same("afterwards", before)
	})
}

// An address for others on lo: no container's namespace, or not a new one.
func TestLoopbackForeignAddress(t *testing.T) {
	onHost(t, func(h *host) {
		h.inside("ip addr add 10.7.0.1/32 dev lo")
		before := h.snapshot()
		refuses(t, ownLoopback.Guard(h.ctx, h.Site), fault.Taken, "10.7.0.1/32")
		h.same("afterwards", before)
	})
}
