package laws

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/plan"
)

// Mend is law 10: what others swept away of a living attachment, REPAIR makes again, to the same state; of one that is gone it makes
// nothing, and says so.
func Mend(w *World) error {
	if !w.Speaks("CHECK") {
		return nil
	}
	if err := w.prime(); err != nil {
		return err
	}
	before := w.snapshot()
	for member := range w.Plugins {
		if w.kind(call{member: member}).Plan == nil {
			continue
		}
		p, err := w.planned(call{verb: "ADD", member: member, of: w.one})
		if err != nil {
			return err
		}
		for i, step := range steps(p) {
			if !is[plan.Mendable](step) {
				continue
			}
			if err := w.mendAt(member, i); err != nil {
				return fmt.Errorf("%s: %w", step, err)
			}
		}
	}
	return w.same(before, "mending and DEL")
}

// mendAt adds the container, undoes the step, wants REPAIR to make it again, and deletes the container.
func (w *World) mendAt(member, index int) error {
	result, err := w.add(w.inProcess, w.one)
	if err != nil {
		return err
	}
	during := w.snapshot()
	name, err := w.undo(call{verb: "DEL", member: member, of: w.one, prev: result}, index)
	if err != nil {
		return fmt.Errorf("undo of %s: %w", name, err)
	}
	repair := call{verb: "REPAIR", member: member, of: w.one, prev: result}
	for range 2 { // the second finds all done
		if _, err := w.inProcess(repair); err != nil {
			return err
		}
		if err := w.same(during, "REPAIR"); err != nil {
			return err
		}
	}
	if err := w.mendDead(repair, index); err != nil {
		return err
	}
	return w.del(w.inProcess, call{of: w.one, prev: result})
}

// mendDead removes the container's link, and wants REPAIR to leave the host as it is.
func (w *World) mendDead(repair call, index int) error {
	if w.kind(repair).Name != "bridge" {
		return nil // a chained plugin's attachment is carried by the link of the one that made it
	}
	link, err := netlink.LinkByName(owner.Of(w.Network, w.one.ID, ifName).HostLink())
	if err != nil {
		return err
	}
	if err := netlink.LinkDel(link); err != nil {
		return err
	}
	if _, err := w.undo(call{verb: "DEL", member: repair.member, of: w.one, prev: repair.prev}, index); err != nil {
		return err
	}
	gone := w.snapshot()
	if _, err := w.inProcess(repair); err == nil {
		return errors.New("REPAIR of an attachment whose link is gone: succeeded")
	}
	return w.same(gone, "REPAIR of an attachment whose link is gone")
}
