package hostlocal

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/grant"
	"github.com/trestle-cni/trestle/pkg/ipam"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// check compares the reservations of the container's interface with the addresses that prevResult says it has. Every difference
// is told. Addresses of prevResult outside the range sets are another plugin's.
func check(ctx context.Context, r *plugin.Request) error {
	c, err := parse(r)
	if err != nil {
		return err
	}
	prev, err := r.PrevResult()
	if err != nil {
		return err
	}
	s, err := existing(ctx, r, c)
	if err != nil {
		return err
	}
	if s == nil {
		return grant.Drift(fmt.Errorf("%s: holds no address: %s has no reservations of network %s", holder(r), c.dataDir, r.Network))
	}
	if err := c.readRanges(r); err != nil {
		r.Logf("CHECK goes by the reservations alone: %v", err)
	}
	own, legacy, err := s.Held(holder(r))
	if err == nil {
		err = grant.Drift(compare(s, r, c, append(own, legacy...), prev))
	}
	return errors.Join(err, s.Close())
}

// compare returns all differences, joined; without a prevResult, only that nothing is held.
func compare(s *ipam.Store, r *plugin.Request, c config, held []netip.Addr, prev *types100.Result) error {
	if len(held) == 0 {
		return fmt.Errorf("%s: holds no address", holder(r))
	}
	if prev == nil {
		return nil
	}
	var errs []error
	has := make([]netip.Addr, 0, len(prev.IPs))
	for _, g := range grant.Held(prev, r.IfName) {
		has = append(has, g.Addr.Addr())
	}
	for _, addr := range has {
		if slices.Contains(held, addr) || !slices.ContainsFunc(c.sets, func(set ipam.Set) bool { _, ok := set.Find(addr); return ok }) {
			continue
		}
		found := "reserved by nobody"
		if other, ok := s.Holder(addr); ok {
			found = "reserved by " + other.String()
		}
		errs = append(errs, fmt.Errorf("%s: expected reserved by %s, found %s", addr, holder(r), found))
	}
	for _, addr := range held {
		if !slices.Contains(has, addr) {
			errs = append(errs, fmt.Errorf("%s: reserved by %s, but prevResult gives %s no such address", addr, holder(r), r.IfName))
		}
	}
	return errors.Join(errs...)
}
