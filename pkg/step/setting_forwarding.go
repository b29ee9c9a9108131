package step

import (
	"context"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Forwarding is the host routing packets of the families that have a gateway. It is shared ground, and never taken back: other
// programs may have come to rely on it.
type Forwarding struct{ IPv4, IPv6 bool }

func (f Forwarding) String() string { return "forwarding" }

func (f Forwarding) keys() []string {
	var keys []string
	if f.IPv4 {
		keys = append(keys, "net/ipv4/ip_forward")
	}
	if f.IPv6 {
		keys = append(keys, "net/ipv6/conf/all/forwarding")
	}
	return keys
}

// Apply switches forwarding on where it is off.
func (f Forwarding) Apply(_ context.Context, s *site.Site) (bool, error) {
	for _, key := range f.keys() {
		if _, err := s.Host.SetSysctl(key, "1"); err != nil {
			return false, fault.New(fault.Unsupported, "does the host have that protocol, and may this program write there?", "%s: %w", key, err)
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
	return nil
}
