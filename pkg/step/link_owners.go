package step

import (
	"context"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Owners lists whose links of the network are on the host, by their aliases.
func (v Veth) Owners(_ context.Context, s *site.Site, network [8]byte) ([]firewall.Holder, error) {
	return linked(s, network)
}

// Owners lists whose links of the network are on the host, by their aliases.
func (h Shim) Owners(_ context.Context, s *site.Site, network [8]byte) ([]firewall.Holder, error) {
	return linked(s, network)
}

// Joined says whether a pair joins the owner's container to the host and, where none does, whether one may have: of the container nothing is known, or it has no such interface.
func Joined(s *site.Site, o owner.Owner, ifName string) (is, unseen bool, err error) {
	link, err := find(s.Host, o.HostLink())
	if err != nil || link != nil && marked(link, o) && rtnl.Paired(link) {
		return err == nil, false, err
	}
	if s.Container == nil {
		return false, true, nil
	}
	link, err = find(s.Container, ifName)
	return false, err == nil && link == nil, err
}

// unjoin removes the owner's link on the host, whichever plugin made that.
func unjoin(s *site.Site, o owner.Owner) error {
	link, err := find(s.Host, o.HostLink())
	if err != nil || link == nil || !marked(link, o) {
		return err
	}
	return remove(s.Host, link)
}

func linked(s *site.Site, network [8]byte) ([]firewall.Holder, error) {
	links, err := s.Host.LinkList()
	if err != nil {
		return nil, err
	}
	var holders []firewall.Holder
	for _, link := range links {
		if o, ok := owner.Parse(link.Attrs().Alias); ok && o.ID.Network == network && link.Attrs().Name == o.HostLink() {
			holders = append(holders, firewall.Holder{Owner: o, Linked: true})
		}
	}
	return holders, nil
}
