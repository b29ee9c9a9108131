package step

import (
	"context"

	"github.com/trestle-cni/trestle/pkg/firewall"
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
