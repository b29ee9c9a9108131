package attach

import (
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/ipam"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/step"
)

// proof says why an attachment is provably gone, for a GC without a list; empty: it is not. What the packet filter and the runtimes say must not be contradicted by what
// host-local wrote down of its network namespace, and that alone tells of one that no link of the host's carries.
func (v *verb) proof(h firewall.Holder) string {
	died := step.Dead(v.site, h)
	if !died && h.Linked {
		return ""
	}
	if v.reserved == nil {
		v.reserved = v.findReserved()
	}
	r := v.reserved[h.ID]
	switch {
	case r.Lives:
		return ""
	case died && h.Device != "":
		return "its device " + h.Device + " is back on the host, and its network namespace is gone"
	case died:
		return "its link " + h.HostLink() + " is gone"
	case step.Remembered(h):
		return ""
	}
	return r.Dead
}

// findReserved reads once who has a reservation, wherever the network has its own, and whether his network namespace is there. What cannot be read proves nothing
// either way.
func (v *verb) findReserved() map[owner.ID]ipam.Finding {
	reserved := make(map[owner.ID]ipam.Finding)
	for _, dir := range v.dataDirs() {
		found, _ := ipam.Survey(dir, v.req.Network)
		for _, f := range found {
			id := owner.Of(v.req.Network, f.Holder.ContainerID, f.Holder.IfName).ID
			if !reserved[id].Lives {
				reserved[id] = f
			}
		}
	}
	return reserved
}
