package nft

import (
	"context"
	"encoding/binary"
	"net/netip"
	"strings"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Published reads the owner's elements of the maps of ports, and its conditional rules, of which it tells no host address: those that the claim
// names or, where these are not all, every one.
func (f *Filter) Published(ctx context.Context, o owner.Owner, c firewall.Claim) ([]firewall.Port, error) {
	w, err := parse(o, c)
	if err != nil {
		if w, err = begin(o, firewall.Publish); err != nil {
			return nil, err
		}
	}
	defer f.lock()()
	var ports []firewall.Port
	err = f.steady(ctx, func() (sure bool, err error) {
		held, err := f.held(w)
		ports = nil
		for _, e := range held {
			if e.rule != nil {
				if p, ok := ledBy(e.rule.Exprs); ok {
					ports = append(ports, p)
				}
			} else if publishes(e.set.Name) {
				ports = append(ports, portIn(e))
			}
		}
		return false, err
	})
	return ports, err
}

// HeldPort is a port that somebody has.
type HeldPort struct {
	firewall.Port // protocol, host address, host port and target
	firewall.Holder
}

// Ports lists the ports that anybody has, without those under conditions, which are nobody's alone. It is for whoever publishes under another
// backend.
func (f *Filter) Ports(ctx context.Context) (ports []HeldPort, err error) {
	w, err := begin(owner.Owner{}, firewall.Publish)
	if err != nil {
		return nil, err
	}
	defer f.lock()()
	err = f.steady(ctx, func() (sure bool, err error) {
		ports = nil
		holders := make(map[owner.ID]firewall.Holder)
		for _, name := range []string{"dnat4", "dnat6", "dnat4ip", "dnat6ip"} {
			all, err := f.dump(w.table.set(name))
			if err != nil {
				return false, err
			}
			for _, e := range all {
				o, ours := owner.Parse(e.Comment)
				if _, known := holders[o.ID]; ours && !known {
					if holders[o.ID], _, err = f.holder(w, &e); err != nil {
						return false, err
					}
				}
				if ours {
					ports = append(ports, HeldPort{portIn(element{SetElement: e}), holders[o.ID]})
				}
			}
		}
		return false, nil
	})
	return ports, err
}

// publishes says whether the set of that name leads ports of the host to containers.
func publishes(set string) bool { return strings.HasPrefix(set, "dnat") }

// portIn reads `protocol . host port : target`, with a host address before it or none.
func portIn(e element) firewall.Port {
	cut := len(e.Key) - len(service(0, 0))
	p := firewall.Port{Protocol: e.Key[cut], HostPort: binary.BigEndian.Uint16(e.Key[cut+4:]), Target: addressIn(e.Val)}
	p.HostIP, _ = netip.AddrFromSlice(e.Key[:cut]) // the zero Addr for no bytes
	return p
}
