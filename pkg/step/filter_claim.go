package step

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Claim is what an attachment holds of the host's packet filter in one role.
type Claim struct {
	Owner owner.Owner
	firewall.Claim
	Known bool // the values are all that is wanted; not known, an empty list stands for whatever the owner has
	// Rest stands for what the configuration does not ask for, and another one may have: Undo and Owners look for it. Flows that it led are left to
	// end by themselves.
	Rest bool
}

// Mendable says that a flushed packet filter is filled again by Apply.
func (Claim) Mendable() {}

// idle says that nothing is wanted, so that a host without a packet filter will do.
func (c Claim) idle() bool { return c.Known && c.Empty() && len(c.Bare) == 0 }

func (c Claim) String() string {
	if c.Role == firewall.Publish {
		return "published ports"
	}
	return string(c.Role)
}

// ErrRemains says of an owner that holds something already that his attachment is provably gone: who knew nothing of us has deleted it, or nobody has. Undone,
// it is in nobody's way.
var ErrRemains = errors.New("of an attachment that is gone")

// Guard refuses an owner that holds something in the role already: it was added before. In a role that is shared, that is refused only where it is not known to have been
// in this life of the container.
func (c Claim) Guard(ctx context.Context, s *site.Site) error {
	if c.idle() {
		return nil
	}
	filter, err := s.Filter()
	if err != nil {
		return err
	}
	held, err := filter.Holds(ctx, c.Owner, c.Role)
	if err != nil || !held {
		return err
	}
	err = fault.New(fault.Taken, "delete it before you add it again", "attachment %s: exists already", c.Owner)
	holders, unread := filter.Holdings(ctx, c.Owner, c.Role)
	lives := func(h firewall.Holder) bool { return !Dead(s, h) && !c.forsaken(s, h) }
	switch {
	case unread != nil:
	case c.Role.Shared() && !slices.ContainsFunc(holders, func(h firewall.Holder) bool { return !c.present(s, h) }):
		return nil // another entry of the list, or the same once more
	case len(holders) > 0 && !slices.ContainsFunc(holders, lives):
		err = fault.Join(err, ErrRemains)
	}
	return err
}

// RolesOf are the roles in which the owner is known to hold anything. What needs a packet filter will say what is wrong with it.
func RolesOf(ctx context.Context, s *site.Site, o owner.Owner) []firewall.Role {
	filter, err := s.Filter()
	if err != nil {
		return nil
	}
	looks, can := filter.(firewall.Rememberer)
	if !can {
		return nil
	}
	roles, _ := looks.RolesOf(ctx, o)
	return roles
}

// Remains looks whether what the owner holds in the roles is left of an earlier attachment that is gone: then it says so, by ErrRemains. What is not known to be left is in
// nobody's way.
func Remains(ctx context.Context, s *site.Site, o owner.Owner, roles []firewall.Role) error {
	for _, role := range roles {
		if err := (Claim{Owner: o, Claim: firewall.Claim{Role: role}}).Guard(ctx, s); errors.Is(err, ErrRemains) {
			return err
		}
	}
	return nil
}

// forsaken says whether an attachment that no link of the host's carried is gone: the container that is to get it has no such interface, and no runtime
// remembers another network namespace of it.
func (c Claim) forsaken(s *site.Site, h firewall.Holder) bool {
	_, _, ifName, _ := c.Owner.Names()
	if h.Linked || s.Container == nil {
		return false
	}
	link, err := find(s.Container, ifName)
	return err == nil && link == nil && !Remembered(h)
}

// Apply holds the claim, with what carries it. What a dead owner held is taken over.
func (c Claim) Apply(ctx context.Context, s *site.Site) (bool, error) {
	if c.idle() {
		return false, nil
	}
	filter, err := s.Filter()
	if err != nil {
		return false, err
	}
	dead := func(h firewall.Holder) bool {
		if !vacated(s, h) {
			return false
		}
		s.Logf("%s: taken over from %s, whose link %s is gone", c, h, h.HostLink())
		return true
	}
	if c.Life, err = c.life(s); err != nil {
		return false, err
	}
	c.First = s.First
	ctx = firewall.Telling(ctx, s.Logf)
	created, err := filter.Hold(ctx, c.Owner, c.Claim, dead)
	if err == nil && created {
		firewall.Tell(ctx, c.Hidden)
		divert(s, c.Ports)
	}
	if err == nil {
		var barred []string
		barred, err = c.barred(ctx, filter)
		for _, chain := range barred {
			s.Logf("%s: %s", c, chain)
		}
	}
	return created, err
}

// barred tells of the chains of others that drop what the claim lets pass.
func (c Claim) barred(ctx context.Context, filter firewall.Filter) ([]string, error) {
	b, can := filter.(firewall.Barrier)
	if c.Role != firewall.Forward || !can {
		return nil, nil
	}
	return b.Barred(ctx)
}

// Dead says whether an attachment is provably gone: its host link carried it, there is no such link, and no runtime remembers a network namespace of it
// that is there, since somebody may have removed the link of a container that lives. No proof is not death.
func Dead(s *site.Site, h firewall.Holder) bool {
	return dead(s, h, func(cache.Entry) bool { return true })
}

func dead(s *site.Site, h firewall.Holder, tells func(cache.Entry) bool) bool {
	if !h.Linked {
		return false
	}
	if _, err := s.Host.Conn.LinkByName(h.HostLink()); !absentLink(err) { // as it is now
		return false
	}
	return !remembered(h, tells)
}

// Remembered says whether a runtime remembers a network namespace of the attachment that is there.
func Remembered(h firewall.Holder) bool {
	return remembered(h, func(cache.Entry) bool { return true })
}

// remembered says so of what a record tells.
func remembered(h firewall.Holder, tells func(cache.Entry) bool) bool {
	return cache.Remembers(cache.Dir, h.Text, func(e cache.Entry) bool { return owner.Of(e.Network, e.ContainerID, e.IfName).ID == h.ID && tells(e) })
}

// vacated says whether what the holder has is free to be taken: it is dead, or its link is gone, and by the runtime's word another link carries the container
// that lives under its names now. That one is another suite's work, and none of it is what the holder has.
func vacated(s *site.Site, h firewall.Holder) bool {
	return dead(s, h, func(e cache.Entry) bool {
		links := e.HostLinks()
		return len(links) == 0 || slices.Contains(links, h.HostLink())
	})
}

// Relics lists who holds something on the network that is of a link that is gone, and lives by another suite's.
func (c Claim) Relics(ctx context.Context, s *site.Site, network [8]byte) (list []firewall.Holder, err error) {
	filter, err := s.Filter()
	if err != nil {
		return nil, err
	}
	if shedder, can := filter.(firewall.Shedder); can {
		list, err = shedder.Relics(ctx, c.Role, network)
	}
	return slices.DeleteFunc(list, func(h firewall.Holder) bool { return !vacated(s, h) || Dead(s, h) }), err
}

// Shed drops it, under the owner's lock, if that is so still.
func (c Claim) Shed(ctx context.Context, s *site.Site, o owner.Owner) error {
	list, err := c.Relics(ctx, s, o.ID.Network)
	if err != nil || !slices.ContainsFunc(list, func(h firewall.Holder) bool { return h.ID == o.ID }) {
		return err
	}
	filter, err := s.Filter()
	if err != nil {
		return err
	}
	return filter.(firewall.Shedder).Shed(ctx, o, c.Role)
}

// Verify looks at each thing held, and at the tables and rules that carry it. Where nothing is wanted, what is there nevertheless is a difference, and nothing else.
func (c Claim) Verify(ctx context.Context, s *site.Site) error {
	filter, err := s.Filter()
	if err == nil {
		err = filter.Held(ctx, c.Owner, c.Claim)
	}
	if c.idle() && fault.Code(err) != fault.Drift {
		return nil
	}
	return err
}

// foreign says whether the owner's ports, if any are published, are so by another suite's rules.
func foreign(ctx context.Context, s *site.Site, o owner.Owner) bool {
	filter, err := s.Filter()
	if err != nil {
		return false
	}
	held, err := filter.Holds(ctx, o, firewall.Publish)
	return err == nil && !held
}

// Owners lists who holds something in the role on the network.
func (c Claim) Owners(ctx context.Context, s *site.Site, network [8]byte) ([]firewall.Holder, error) {
	filter, err := s.Filter()
	if err != nil {
		return nil, err
	}
	return filter.Owners(ctx, c.Role, network)
}

// Ready says whether the filter works on this host and, for ports, whether flows that bypass them can be removed.
func (c Claim) Ready(ctx context.Context, s *site.Site) error {
	filter, err := s.Filter()
	if err != nil {
		return err
	}
	if err := filter.Ready(ctx); err != nil {
		return err
	}
	if barred, err := c.barred(ctx, filter); err != nil || len(barred) > 0 {
		return cmp.Or(err, fault.New(fault.NoService, "add that line to it", "%s", strings.Join(barred, "; ")))
	}
	if c.Role != firewall.Publish {
		return nil
	}
	return tracks(s)
}

// Tables are the constant part of the packet filter. It is shared ground: the first claim makes it, each claim's Verify looks at it, and
// only its removal, when nobody holds anything, is this step's.
type Tables struct{}

func (Tables) String() string { return "packet filter" }

// Apply leaves it to the first claim, in whose transaction it costs nothing.
func (Tables) Apply(context.Context, *site.Site) (bool, error) { return false, nil }

// Undo removes the tables when nobody holds anything.
func (Tables) Undo(ctx context.Context, s *site.Site) error {
	filter, err := s.Filter()
	if err != nil {
		return err
	}
	return filter.Unground(ctx)
}

// Verify leaves it to the claims.
func (Tables) Verify(context.Context, *site.Site) error { return nil }
