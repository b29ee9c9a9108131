package hostlocal

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/grant"
	"github.com/trestle-cni/trestle/pkg/ipam"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// add reserves one address of each range set, in the order of the sets, and prints them. After an error the store is as it was.
func add(ctx context.Context, r *plugin.Request) error {
	c, err := parse(r)
	if err != nil {
		return err
	}
	dns, err := readResolvConf(c.resolvConf)
	if err != nil {
		return err
	}
	s, err := open(ctx, r, c)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := c.readRanges(r); err != nil {
		return err
	}
	s.Opened = r.Namespace()
	if err := refuseSecond(s, holder(r)); err != nil {
		return err
	}
	grants, err := reserve(ctx, s, c, ipam.Attachment{Holder: holder(r), Netns: r.Netns})
	if err == nil {
		err = r.Print(grant.Result(granted(grants), c.routes, dns))
	}
	if err != nil {
		return errors.Join(c.spent(err), undo(s, grants))
	}
	return nil
}

// refuseSecond holds a container's interface to one ADD: its addresses would be released together by the first DEL. What it held
// before it died, as after a reboot that kept the container's name, is in nobody's way.
func refuseSecond(s *ipam.Store, h ipam.Holder) error {
	own, legacy, err := s.Held(h)
	if err != nil {
		return err
	}
	held := append(own, legacy...)
	if len(held) == 0 {
		return nil
	}
	if dead, err := s.ReclaimFrom(h); dead || err != nil {
		return err
	}
	return fault.New(fault.Taken, "DEL this attachment before another ADD", "%s: holds %s already", h, join(held))
}

func join(addrs []netip.Addr) string {
	texts := make([]string, len(addrs))
	for i, addr := range addrs {
		texts[i] = addr.String()
	}
	return strings.Join(texts, ", ")
}

// reserve returns what it reserved also beside an error, for undo. A runtime that ends the call gets an undone one.
func reserve(ctx context.Context, s *ipam.Store, c config, a ipam.Attachment) ([]ipam.Grant, error) {
	var grants []ipam.Grant
	for i, set := range c.sets {
		if err := ctx.Err(); err != nil {
			return grants, fmt.Errorf("reserve: %w", err)
		}
		one, err := s.Allocate(i, set, c.wanted[i], a)
		if err != nil {
			return grants, err
		}
		grants = append(grants, one)
	}
	return grants, ctx.Err()
}

func granted(grants []ipam.Grant) (list []grant.Grant) {
	for _, g := range grants {
		list = append(list, grant.Grant(g))
	}
	return list
}

func undo(s *ipam.Store, grants []ipam.Grant) error {
	var addrs []netip.Addr
	for _, one := range grants {
		addrs = append(addrs, one.Addr.Addr())
	}
	return s.ReleaseAll(addrs)
}
