package step

import (
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/plan"
)

// The kernel may or may not have VRFs: where it has, the step keeps the contract of all steps; where not, it says so before anything is made.
func TestVRF(t *testing.T) {
	for _, c := range []contract{
		{"new", append(full, routes), VRF{IfName: "eth0", Name: "blue"}, []change{
			{"in ip link set blue down", "", "link blue: expected up, found down"},
			{"in ip route add 198.51.100.0/24 via 10.1.0.7 dev eth0 onlink", "in ip route del 198.51.100.0/24", "table main without it, found 198.51.100.0/24 via 10.1.0.7"},
		}},
		{"with a table", append(full, routes), VRF{IfName: "eth0", Name: "blue", Table: 77}, nil},
		{"of an interface that is down", []plan.Step{br, pair}, VRF{IfName: "eth0", Name: "blue"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) { onHost(t, func(h *host) { holdVRF(h, c) }) })
	}
}

func holdVRF(h *host, c contract) {
	v := c.step.(VRF)
	if err := v.Ready(h.ctx, h.Site); err != nil {
		refuses(h, err, fault.Unsupported, "links of kind vrf", "this kernel has none")
		h.apply(c.base...)
		before := h.snapshot()
		refuses(h, v.Guard(h.ctx, h.Site), fault.Unsupported, "links of kind vrf")
		h.must(v.Undo(h.ctx, h.Site))
		h.same("refused", before)
		return
	}
	c.hold(h)
}

// What stands in the way is named, and left alone; a kernel without VRFs says that before all else.
func TestVRFHindered(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br, pair)
		refused := func(v VRF, code uint, word string) {
			h.Helper()
			if v.Ready(h.ctx, h.Site) != nil {
				refuses(h, v.Guard(h.ctx, h.Site), fault.Unsupported, "this kernel has none")
				return
			}
			h.untouched(v, code, word)
		}
		refused(VRF{IfName: "eth0", Name: "lo"}, fault.Config, "vrfname: lo: a link of kind")
		refused(VRF{IfName: "eth7", Name: "blue"}, fault.Drift, "link eth7: not found")
		h.inside("ip link add br7 type bridge")
		h.inside("ip link set eth0 master br7")
		refused(VRF{IfName: "eth0", Name: "blue"}, fault.Taken, "interface eth0: a port of br7")
		before := h.snapshot()
		h.must(VRF{IfName: "eth0", Name: "blue"}.Undo(h.ctx, h.Site))
		h.must(VRF{IfName: "eth7"}.Undo(h.ctx, h.Site))
		h.same("undone", before)
		if (VRF{}).Ready(h.ctx, h.Site) == nil {
			h.inside("ip link add blue type vrf table 7")
			refuses(h, VRF{IfName: "eth0", Name: "blue"}.Verify(h.ctx, h.Site), fault.Drift, "master of eth0: expected blue, found br7")
			h.inside("ip link set eth0 nomaster")
			refuses(h, VRF{IfName: "eth0", Name: "blue", Table: 8}.Guard(h.ctx, h.Site), fault.Config, "table: 8: VRF blue has table 7") // an Undo takes an empty VRF along
		}
	})
}
