package attach

import (
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/ipam"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/step"
)

// dead says whether an attachment is provably gone, for a GC without a list: what the packet filter and the runtimes say must not be contradicted by what
// host-local wrote down of its network namespace.
func (v *verb) dead(h firewall.Holder) bool {
	if !step.Dead(v.site, h) {
		return false
	}
	if v.living == nil {
		v.living = v.findLiving()
	}
	return !v.living[h.ID]
}

// findLiving reads once who has a reservation, wherever the network has its own, and a network namespace that is there. What cannot be read proves nothing either way.
func (v *verb) findLiving() map[owner.ID]bool {
	living := make(map[owner.ID]bool)
	for _, dir := range v.dataDirs() {
		found, _ := ipam.Survey(dir, v.req.Network)
		for _, f := range found {
			if f.Lives {
				living[owner.Of(v.req.Network, f.Holder.ContainerID, f.Holder.IfName).ID] = true
			}
		}
	}
	return living
}
