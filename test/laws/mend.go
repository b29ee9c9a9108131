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
	flat := w.flat()
	for member := range flat.Plugins {
		if flat.kind(call{member: member}).gives() {
			continue
		}
		p, err := flat.planned(call{verb: "ADD", member: member, of: w.one})
		if err != nil {
			return err
		}
		for i, step := range steps(p) {
			if !is[plan.Mendable](step) {
				continue
			}
			if err := w.mendAt(flat, member, i); err != nil {
				return fmt.Errorf("%s: %w", step, err)
			}
		}
	}
	return w.same(before, "mending and DEL")
}

// mendAt adds the container, undoes the step of the flat chain's member, wants REPAIR to make it again, and deletes the container.
func (w *World) mendAt(flat *World, member, index int) error {
	result, err := w.add(w.inProcess, w.one)
	if err != nil {
		return err
	}
	during := w.snapshot()
	undo := call{verb: "DEL", member: member, of: w.one, prev: result}
	name, err := flat.undo(undo, index)
	if err != nil {
		return fmt.Errorf("undo of %s: %w", name, err)
	}
	repair := call{verb: "REPAIR", member: w.outer(member), of: w.one, prev: result}
	for range 2 { // the second finds all done
		if _, err := w.inProcess(repair); err != nil {
			return err
		}
		if err := w.same(during, "REPAIR"); err != nil {
			return err
		}
	}
	if flat.kind(undo).Name == "bridge" { // a chained plugin's attachment is carried by the link of the one that made it
		if err := w.mendDead(repair, func() error { _, err := flat.undo(undo, index); return err }); err != nil {
			return err
		}
	}
	return w.del(w.inProcess, call{of: w.one, prev: result})
}

// mendDead removes the container's link, sweeps, and wants REPAIR to leave the host as it is.
func (w *World) mendDead(repair call, sweep func() error) error {
	link, err := netlink.LinkByName(owner.Of(w.Network, w.one.ID, ifName).HostLink())
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err == nil {
		err = sweep()
	}
	if err != nil {
		return err
	}
	gone := w.snapshot()
	if _, err := w.inProcess(repair); err == nil {
		return errors.New("REPAIR of an attachment whose link is gone: succeeded")
	}
	return w.same(gone, "REPAIR of an attachment whose link is gone")
}
