package step

import (
	"context"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Forwarding is the host routing packets of the families that have a gateway. It is shared ground, and never taken back: other
// programs may have come to rely on it.
//
// A host that routes IPv6 is a router, and a router does not listen to others: with forwarding the kernel forgets the default routes that were
// advertised to it, but those of links that are told to listen all the same. So these are told first.
type Forwarding struct{ IPv4, IPv6 bool }

func (f Forwarding) String() string { return "forwarding" }

const forwarding6 = "net/ipv6/conf/all/forwarding"

func (f Forwarding) keys() []string {
	var keys []string
	if f.IPv4 {
		keys = append(keys, "net/ipv4/ip_forward")
	}
	if f.IPv6 {
		keys = append(keys, forwarding6)
	}
	return keys
}

// Apply switches forwarding on where it is off.
func (f Forwarding) Apply(_ context.Context, s *site.Site) (bool, error) {
	value, known, err := s.Host.Sysctl(forwarding6)
	if err != nil {
		return false, err
	}
	deaf, err := f.deaf(s, known && value == "0")
	if err != nil {
		return false, err
	}
	for _, link := range deaf {
		s.Logf("%s: link %s goes on listening to router advertisements, by one of which the host has a route or an address", f, link)
		if err := set(s.Host, acceptRA(link), "2"); err != nil {
			return false, err
		}
	}
	for _, key := range f.keys() {
		if err := set(s.Host, key, "1"); err != nil {
			return false, err
		}
	}
	return false, nil
}

// Undo leaves it on.
func (f Forwarding) Undo(context.Context, *site.Site) error { return nil }

// Verify looks whether it is on.
func (f Forwarding) Verify(_ context.Context, s *site.Site) error {
	for _, key := range f.keys() {
		value, known, err := s.Host.Sysctl(key)
		if err != nil {
			return err
		}
		if !known || value != "1" {
			return drift(key, 1, value)
		}
	}
	deaf, err := f.deaf(s, false)
	if err != nil {
		return err
	}
	var drifts []error
	for _, link := range deaf {
		drifts = append(drifts, drift(acceptRA(link)+" of a link by which a route was advertised", 2, 1))
	}
	return fault.Join(drifts...)
}

func acceptRA(link string) string { return "net/ipv6/conf/" + link + "/accept_ra" }

// deaf returns the links by which the host has a route that a router advertised or, where that ends with this call, an address that is of use as long as it is advertised, and
// that stop listening when the host forwards. Where accept_ra
// is 0, the kernel does not listen: a program does (systemd-networkd, NetworkManager). A link by which a container can send is never
// among them: with forwarding on, the host would believe what the container advertises.
func (f Forwarding) deaf(s *site.Site, begins bool) (names []string, err error) {
	if !f.IPv6 {
		return nil, nil
	}
	advertised, err := s.Host.Conn.Advertised()
	if err == nil && begins {
		advertised, err = s.Host.Conn.Autoconfigured(advertised)
	}
	if err != nil {
		return nil, err
	}
	for _, index := range advertised {
		if value, known, err := s.Host.Conn.AcceptsRA(index); err != nil || !known || value != 1 {
			continue // a link that went meanwhile has no routes
		}
		outward, err := s.Host.Conn.Outward(index)
		if err != nil {
			return nil, err
		}
		link, err := s.Host.LinkByIndex(index)
		if err == nil && outward {
			names = append(names, link.Attrs().Name)
		}
	}
	return names, nil
}
