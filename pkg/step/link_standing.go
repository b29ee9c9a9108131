package step

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Standing is the interface that another plugin made, as a chained one needs it: in the container, with the addresses that rules lead to, and joined to
// the host's end that it was made with. What of it is not so may be a stranger's by now.
type Standing struct {
	IfName string
	Addrs  []netip.Prefix // length does not matter
	Hosts  []string       // one of them is the other end, if it is one of a pair; none: any may be
}

func (l Standing) String() string { return "interface " + l.IfName }

// Verify looks for the addresses anywhere in the container, and at the pair.
func (l Standing) Verify(_ context.Context, s *site.Site) error {
	container, err := inside(s)
	if err != nil {
		return err
	}
	found, err := container.Conn.AllAddrs()
	if err != nil {
		return fmt.Errorf("addresses: %w", err)
	}
	there := make(map[netip.Addr]bool)
	for _, a := range slices.Concat(slices.Collect(maps.Values(found))...) {
		there[a.Addr()] = true
	}
	for _, want := range l.Addrs {
		if !there[want.Addr()] {
			return drift("address "+want.Addr().String(), "in the container", "not there")
		}
	}
	return l.verifyPair(s.Host, container)
}

func (l Standing) verifyPair(host, container *site.Side) error {
	link, err := find(container, l.IfName)
	if err != nil || link == nil || !rtnl.Paired(link) || len(l.Hosts) == 0 {
		return err
	}
	peer, err := host.LinkByIndex(link.Attrs().ParentIndex)
	if err != nil && !absentLink(err) {
		return err
	}
	if err != nil || !slices.Contains(l.Hosts, peer.Attrs().Name) {
		return drift("its other end", l.Hosts, "another link or none")
	}
	return nil
}
