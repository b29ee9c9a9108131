package step

import (
	"context"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Undo drops what the owner holds in the role, be the values known or not.
func (c Claim) Undo(ctx context.Context, s *site.Site) error {
	filter, err := s.Filter()
	if err != nil {
		return err
	}
	if c.Rest {
		return filter.Drop(ctx, c.Owner, c.Claim)
	}
	led := published(ctx, s, filter, c)
	c.Promptly = cut(s, led) > 0 // who is sending now would begin the same flow again before long
	err = filter.Drop(ctx, c.Owner, c.Claim)
	if err == nil {
		cut(s, led)
	}
	return err
}

// Restore takes back what Apply has made beside what another entry of the list has.
func (c Claim) Restore(ctx context.Context, s *site.Site) error {
	filter, err := s.Filter()
	if err != nil {
		return err
	}
	if r, can := filter.(firewall.Restorer); can && c.Role.Shared() {
		if done, err := r.Restore(ctx, c.Owner, c.Role); done || err != nil {
			return err
		}
	}
	return c.Undo(ctx, s)
}
