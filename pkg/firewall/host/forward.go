package host

import (
	"context"
	"strings"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/reference"
	"github.com/trestle-cni/trestle/pkg/owner"
)

var _ firewall.Isolator = (*Filter)(nil)

// isolator is the chosen backend's.
func (f *Filter) isolator(ctx context.Context) firewall.Isolator {
	if f.choose(ctx) == firewall.Filter(f.nft) {
		return f.nft
	}
	return f.iptables
}

// Isolate is the chosen backend's.
func (f *Filter) Isolate(ctx context.Context, link string, in firewall.Ingress) (bool, error) {
	return f.isolator(ctx).Isolate(ctx, link, in)
}

// Isolated is the chosen backend's, or the reference's.
func (f *Filter) Isolated(ctx context.Context, link string, in firewall.Ingress) error {
	err := f.isolator(ctx).Isolated(ctx, link, in)
	if fault.Code(err) != fault.Drift {
		return err
	}
	made, failed := f.iptables.LikeIsolated(ctx, link, in)
	if made || failed != nil {
		return failed
	}
	return err
}

// Segments are both backends'.
func (f *Filter) Segments(ctx context.Context) ([]string, error) {
	links, err := f.nft.Segments(ctx)
	if err = f.tolerant(ctx, err); err != nil {
		return nil, err
	}
	more, err := f.iptables.Segments(ctx)
	return append(links, more...), err
}

// Rejoin is both backends'.
func (f *Filter) Rejoin(ctx context.Context, used func(string) bool) error {
	return fault.Join(f.tolerant(ctx, f.nft.Rejoin(ctx, used)), f.iptables.Rejoin(ctx, used))
}

// pass holds a claim to pass: what the chosen backend's own rules accept, others may drop all the same.
func (f *Filter) pass(ctx context.Context, o owner.Owner, c firewall.Claim, dead func(firewall.Holder) bool) (created bool, err error) {
	created, err = f.choose(ctx).Hold(ctx, o, c, dead)
	if err != nil || c.Empty() {
		return created, err
	}
	entered, err := f.enter(ctx, c.Pass)
	if created = created || entered; err != nil || f.choose(ctx) != firewall.Filter(f.nft) {
		return created, err
	}
	opened, err := f.nft.Anchor(ctx, c.AdminName())
	if err == nil {
		var more bool
		more, err = f.iptables.Anchor(ctx, c.AdminName(), f.nft.Named)
		opened = opened || more
	}
	return created || opened, err
}

// passes compares what pass would make with what is there, of ours or of the reference.
func (f *Filter) passes(ctx context.Context, o owner.Owner, c firewall.Claim) error {
	return f.orOthers(ctx, o, c, f.passesOurs(ctx, o, c))
}

func (f *Filter) passesOurs(ctx context.Context, o owner.Owner, c firewall.Claim) error {
	err := f.choose(ctx).Held(ctx, o, c)
	if !c.Empty() && (err == nil || fault.Code(err) == fault.Drift) {
		err = fault.Join(err, f.entered(ctx, c.Pass))
	}
	if c.Empty() || f.choose(ctx) != firewall.Filter(f.nft) || err != nil && fault.Code(err) != fault.Drift {
		return err
	}
	drift, failed := f.nft.Anchored(ctx, c.AdminName())
	if failed == nil {
		var more []string
		more, failed = f.iptables.Anchored(c.AdminName())
		drift = append(drift, more...)
	}
	if failed != nil {
		return failed
	}
	if len(drift) > 0 {
		err = fault.Join(err, fault.New(fault.Drift, "find what else changes the rules, then repair", "packet filter: %s", strings.Join(drift, "; ")))
	}
	return err
}

// Barred is nft's, where that is chosen: no other's rules are marked.
func (f *Filter) Barred(ctx context.Context) ([]string, error) {
	if f.choose(ctx) != firewall.Filter(f.nft) {
		return nil, nil
	}
	return f.nft.Barred(ctx)
}

// unpass drops a claim to pass. Every plugin's DEL asks for it, and pays nothing where no firewall plugin has been.
func (f *Filter) unpass(ctx context.Context, o owner.Owner, c firewall.Claim) error {
	none := false
	if c.Empty() {
		var err error
		if none, err = f.nft.NonePasses(); f.tolerant(ctx, err) != nil {
			return err
		}
	}
	if none {
		var left error
		if f.zoned() {
			left = f.quit(ctx, c.Told)
		}
		return fault.Join(left, f.others(ctx, o, c), reference.Remove(ctx, f.nft.Conn, o, c))
	}
	left := f.leave(ctx, o, c) // while it is known what the owner has
	return fault.Join(left, f.tolerant(ctx, f.nft.Drop(ctx, o, c)), f.others(ctx, o, c), reference.Remove(ctx, f.nft.Conn, o, c), f.shut(ctx))
}

// shut takes away what lets pass all that may, where nobody may any more.
func (f *Filter) shut(ctx context.Context) error {
	err := f.tolerant(ctx, f.nft.Weigh(ctx))
	return fault.Join(err, f.iptables.Weigh(ctx, func() (bool, error) {
		holders, err := f.nft.Owners(ctx, firewall.Forward, [8]byte{})
		return len(holders) == 0, f.tolerant(ctx, err)
	}))
}
