package step

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/netns"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/site"
)

// What a plugin chained after another holds in the packet filter is of one life of a container. Where a link of the host's carries it, that link is its life; else, the
// container's interface is: its network namespace, its number there, and when it got its addresses. Neither a namespace's inode nor a link's number is enough, since the
// kernel gives both again, and a device that was taken back to the host and given again may have both.

// life names the life in which a claim of a shared role is made; empty where a link of the host's tells it, or nothing can.
func (c Claim) life(s *site.Site) (string, error) {
	_, _, ifName, whole := c.Owner.Names()
	if !c.Role.Shared() || c.Linked || !whole || s.Container == nil {
		return "", nil
	}
	netns, err := netns.NumberOf(s.Container.NS)
	if err != nil {
		return "", err
	}
	link, err := find(s.Container, ifName)
	if err != nil || link == nil {
		return fmt.Sprintf("%x", netns), err
	}
	since, err := s.Container.Conn.Since(link.Attrs().Index)
	return fmt.Sprintf("%x.%x.%x", netns, link.Attrs().Index, since), err
}

// present says whether what the holder has was made in this life of the container.
func (c Claim) present(s *site.Site, h firewall.Holder) bool {
	if h.Linked {
		_, err := s.Host.LinkByName(h.HostLink())
		return !absentLink(err)
	}
	life, err := c.life(s)
	return err == nil && h.Life != "" && h.Life == life
}

// Bygone are the roles in which an owner holds what is of an earlier life of his container, and of no other sandbox that a runtime remembers: whoever knew nothing of us has
// deleted that, or nobody has. It is for a plugin that is chained after one that cannot look, as those that make links without another end on the host.
func Bygone(ctx context.Context, s *site.Site, o owner.Owner) (roles []firewall.Role, err error) {
	held := RolesOf(ctx, s, o)
	if len(held) == 0 {
		return nil, nil
	}
	filter, err := s.Filter()
	if err != nil {
		return nil, err
	}
	for _, role := range held {
		holders, err := filter.Holdings(ctx, o, role)
		if err != nil {
			return nil, err
		}
		c := Claim{Owner: o, Claim: firewall.Claim{Role: role}}
		for _, h := range holders {
			if !c.present(s, h) && !remembered(h, func(e cache.Entry) bool { return sandboxed(s, e) }) {
				roles = append(roles, role)
				break
			}
		}
	}
	return roles, nil
}

// sandboxed says whether a runtime's record is of another network namespace.
func sandboxed(s *site.Site, e cache.Entry) bool {
	var there, here unix.Stat_t
	return unix.Stat(e.Netns, &there) != nil || unix.Fstat(s.Container.NS, &here) != nil || there.Dev != here.Dev || there.Ino != here.Ino
}
