package host

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/firewalld"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// What firewalld rejects at the end of its chains no mark opens: the containers' addresses are sources of one of its zones. Whose they are, it does not
// know; that stands with the claim, in the packet filter.

// zoned says whether the configuration may have asked for a daemon.
func (f *Filter) zoned() bool {
	return f.choice.Zone != "" && (f.choice.Backend == FirewallD || f.choice.Backend == Unchosen)
}

// zone returns the daemon that is to be asked, nil for none: the one that was chosen or, without a choice, the one that there is.
func (f *Filter) zone(ctx context.Context) (*firewalld.Daemon, error) {
	if !f.zoned() {
		return nil, nil
	}
	daemon, err := firewalld.Find(ctx)
	if err == nil && daemon == nil && f.choice.Backend == FirewallD {
		err = fault.New(fault.Unsupported, "start firewalld, or leave out the backend", "firewalld: not running in this network namespace")
	}
	return daemon, err
}

// enter makes the addresses sources of the zone.
func (f *Filter) enter(ctx context.Context, addrs []netip.Addr) (created bool, err error) {
	daemon, err := f.zone(ctx)
	if err != nil || daemon == nil {
		return false, err
	}
	defer daemon.Close()
	for _, a := range addrs {
		added, err := daemon.Add(f.choice.Zone, a)
		if created = created || added; err != nil {
			return created, err
		}
	}
	return created, nil
}

// entered compares.
func (f *Filter) entered(ctx context.Context, addrs []netip.Addr) error {
	daemon, err := f.zone(ctx)
	if err != nil || daemon == nil {
		return err
	}
	defer daemon.Close()
	missing, err := f.untold(daemon, addrs)
	if err == nil && len(missing) > 0 {
		err = fault.New(fault.Drift, "trestle repair", "firewalld: zone %s: expected the sources %s, found none", f.choice.Zone, strings.Join(missing, ", "))
	}
	return err
}

// untold are the addresses that are no sources of the zone.
func (f *Filter) untold(daemon *firewalld.Daemon, addrs []netip.Addr) (missing []string, err error) {
	for _, a := range addrs {
		has, err := daemon.Has(f.choice.Zone, a)
		if err != nil {
			return nil, err
		}
		if !has {
			missing = append(missing, firewalld.Source(a))
		}
	}
	return missing, nil
}

// likeEntered says what is missing of what the reference makes with firewalld, and whether it made any of it: the sources of the zone, and nothing else. Whose
// link is ours is not the reference's, and has more.
func (f *Filter) likeEntered(ctx context.Context, c firewall.Claim) (missing []string, made bool, err error) {
	if c.Role != firewall.Forward || c.Linked {
		return nil, false, nil
	}
	daemon, err := f.zone(ctx)
	if err != nil || daemon == nil {
		return nil, false, err
	}
	defer daemon.Close()
	missing, err = f.untold(daemon, c.Pass)
	return missing, len(missing) < len(c.Pass), err
}

// leave takes from firewalld what the owner passes by. Where there is no daemon there is nothing of it.
func (f *Filter) leave(ctx context.Context, o owner.Owner, c firewall.Claim) error {
	addrs, err := f.nft.Passing(ctx, o, c)
	if err = f.tolerant(ctx, err); err != nil {
		return err
	}
	if len(addrs) == 0 && f.zoned() { // the reference keeps no books
		addrs = slices.Concat(c.Pass, c.Told)
	}
	return f.quit(ctx, addrs)
}

// quit makes the addresses sources of no zone.
func (f *Filter) quit(ctx context.Context, addrs []netip.Addr) error {
	if len(addrs) == 0 {
		return nil
	}
	daemon, err := firewalld.Find(ctx)
	if err != nil || daemon == nil {
		return err
	}
	defer daemon.Close()
	var errs []error
	for _, a := range addrs {
		errs = append(errs, daemon.Remove(a))
	}
	if err := fault.Join(errs...); err != nil {
		return fmt.Errorf("zone: %w", err)
	}
	return nil
}
