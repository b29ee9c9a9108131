package step

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// The kernels that these tests run on may or may not filter VLANs. What follows holds on both: the answer is a working step or an
// error that names the kernel's option.
func TestVLANFiltering(t *testing.T) {
	onHost(t, func(h *host) {
		before := h.snapshot()
		filtering := br
		filtering.VLANFiltering = true
		ready := filtering.Ready(h.ctx, h.Site)
		_, err := filtering.Apply(h.ctx, h.Site)
		if (ready == nil) != (err == nil) {
			t.Errorf("ready: %v, but made: %v", ready, err)
		}
		if err == nil {
			h.must(filtering.Verify(h.ctx, h.Site))
			return
		}
		refuses(t, ready, fault.Unsupported, "vlan_filtering", "this kernel cannot")
		refuses(t, err, fault.Unsupported, "vlan_filtering", "this kernel cannot")
		if hint := fault.Hint(err); hint != noFiltering(nil).(*fault.Error).Hint {
			t.Errorf("hint %q", hint)
		}
		h.same("refused", before)
	})
}

func TestBridgeWithoutFiltering(t *testing.T) {
	onHost(t, func(h *host) {
		h.run("ip link add br0 type bridge")
		filtering := br
		filtering.VLANFiltering = true
		h.untouched(filtering, fault.Unsupported, "br0", "vlan_filtering is off")
		refuses(t, filtering.Ready(h.ctx, h.Site), fault.Unsupported, "vlan_filtering")
		refuses(t, filtering.Verify(h.ctx, h.Site), fault.Unsupported, "vlan_filtering is off")
	})
}

// On a bridge that does not filter, the steps for VLANs either work or name what the kernel lacks; undone, they leave nothing.
func TestPortVLANs(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br, pair)
		v := PortVLANs{Link: link, Access: 100, Trunk: []int{5, 6, 7, 9}}
		if _, err := v.Apply(h.ctx, h.Site); err != nil {
			refuses(t, err, fault.Unsupported, "this kernel cannot")
			refuses(t, v.Verify(h.ctx, h.Site), fault.Drift, "VLANs of "+link)
		} else {
			h.must(v.Verify(h.ctx, h.Site))
		}
		h.must(v.Undo(h.ctx, h.Site))
		h.must(v.Undo(h.ctx, h.Site))
	})
}

// The gateway's interface on a VLAN is made whole or, applied again, made so; nobody left, it goes with the bridge.
func TestVLANPort(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br)
		before := h.snapshot()
		p := VLANPort{Name: "br0.100", Port: "veth0100", Bridge: "br0", VLAN: 100}
		for range 2 {
			if _, err := p.Apply(h.ctx, h.Site); err != nil {
				refuses(t, err, fault.Unsupported, "this kernel cannot")
				refuses(t, p.Verify(h.ctx, h.Site), fault.Drift, "br0.100")
				continue
			}
			h.must(p.Verify(h.ctx, h.Site))
		}
		h.apply(pair)
		h.must(p.Undo(h.ctx, h.Site)) // somebody is on the bridge: it stays
		h.run("ip link show br0.100")
		h.must(pair.Undo(h.ctx, h.Site))
		h.must(p.Undo(h.ctx, h.Site))
		h.must(p.Undo(h.ctx, h.Site))
		h.same("undone", before)
	})
}

// A gateway on a VLAN is served as long as a container is on the bridge, whoever's the interface is; the host's own port is none.
func TestGatewayOnVLAN(t *testing.T) {
	onHost(t, func(h *host) {
		h.run("ip link add gw type veth peer name x")
		g := Gateway{Link: "gw", Bridge: "br0", Addrs: prefixes("10.1.0.1/24", "fd00::1/64")}
		h.apply(br, pair, g)
		h.must(g.Undo(h.ctx, h.Site))
		h.must(g.Verify(h.ctx, h.Site))
		h.must(pair.Undo(h.ctx, h.Site))
		h.run("ip\nlink\nset\nx\nmaster\nbr0\nalias\n" + vlanAlias)
		h.must(g.Undo(h.ctx, h.Site))
		refuses(t, g.Verify(h.ctx, h.Site), fault.Drift, "10.1.0.1/24")
	})
}

// An interface of that name that somebody else made is taken as it is, and stays.
func TestVLANPortOfSomebodyElse(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br)
		h.run("ip link add br0.100 type veth peer name x")
		h.run("ip link set br0.100 up")
		before := h.snapshot()
		p := VLANPort{Name: "br0.100", Port: "veth0100", Bridge: "br0", VLAN: 100}
		if created, err := p.Apply(h.ctx, h.Site); created || err != nil {
			t.Errorf("created %v, %v", created, err)
		}
		h.must(p.Undo(h.ctx, h.Site))
		h.same("undone", before)
	})
}

func TestRuns(t *testing.T) {
	for _, c := range []struct {
		numbers []int
		want    [][2]uint16
	}{
		{nil, nil},
		{[]int{7}, [][2]uint16{{7, 7}}},
		{[]int{1, 2, 3, 5, 7, 8}, [][2]uint16{{1, 3}, {5, 5}, {7, 8}}},
		{[]int{1, 4094}, [][2]uint16{{1, 1}, {4094, 4094}}},
	} {
		if diff := cmp.Diff(c.want, runs(c.numbers)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.numbers, diff)
		}
	}
}

func TestUntagged(t *testing.T) {
	for _, c := range []struct {
		port PortVLANs
		want int
	}{{PortVLANs{}, 0}, {PortVLANs{Access: 7}, 7}, {PortVLANs{Trunk: []int{5}}, 1}, {PortVLANs{Access: 7, Trunk: []int{5}}, 7}} {
		if got := c.port.untagged(); got != c.want {
			t.Errorf("%s: %d, want %d", c.port, got, c.want)
		}
	}
}
