package host

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/reference"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// other is a port that somebody has under another backend than the chosen one, or by the reference.
type other struct {
	firewall.Port
	network, container string // as far as they are known
	who                string
	iptables           bool // where it is
}

// elsewhere refuses a claim of which somebody alive has a port under another backend: his rules come first, and nothing would get to ours.
func (f *Filter) elsewhere(ctx context.Context, o owner.Owner, c firewall.Claim) error {
	if c.Role != firewall.Publish || len(c.Ports) == 0 {
		return nil
	}
	others, err := f.ports(ctx)
	if err != nil {
		return fmt.Errorf("ports of other backends: %w", err)
	}
	for _, p := range c.Ports {
		for _, q := range others {
			own := strings.HasPrefix(o.Text, q.network+"/"+q.container+"/") || q.network == "" && strings.Contains(o.Text, "/"+q.container+"/")
			if own || !collide(p, q.Port) {
				continue
			}
			if !f.dies(q.network, q.container) {
				return fault.New(fault.Taken, "delete that container, or ask for another port", "host port %d: held by %s", p.HostPort, q.who)
			}
			if err := f.evict(ctx, q); err != nil {
				return err
			}
		}
	}
	return nil
}

// collide says whether two ports are for the same packets. One of one address and one of all may both be held.
func collide(p, q firewall.Port) bool {
	return p.Protocol == q.Protocol && p.HostPort == q.HostPort && p.Target.Addr().Is4() == q.Target.Addr().Is4() && address(p) == address(q)
}

func address(p firewall.Port) netip.Addr {
	if p.HostIP.IsUnspecified() {
		return netip.Addr{}
	}
	return p.HostIP
}

// ports lists what the reference has under nftables and, where nftables is chosen, what anybody has under iptables, which looks after its
// own otherwise.
func (f *Filter) ports(ctx context.Context) (list []other, err error) {
	found, err := reference.Ports(f.nft.Conn)
	if err != nil {
		return nil, err
	}
	for _, p := range found {
		list = append(list, other{p.Port, "", p.Container, "container " + p.Container + " of another suite of plugins", false})
	}
	if f.choose(ctx) != firewall.Filter(f.nft) {
		return list, nil
	}
	foreign, err := f.iptables.Foreign(ctx)
	for _, p := range foreign {
		network, container := parse(p.Comment)
		list = append(list, other{p.Port, network, container, "a container under iptables, " + p.Comment, true})
	}
	return list, err
}

// parse reads the network and the container in the comment of a rule.
func parse(comment string) (network, container string) {
	_, _ = fmt.Sscanf(comment, "name: %q id: %q", &network, &container) // what is not read stays unknown
	return network, container
}

// evict removes what somebody dead has to the target. His rules would come before ours.
func (f *Filter) evict(ctx context.Context, q other) error {
	c := firewall.Claim{Role: firewall.Publish, Ports: []firewall.Port{q.Port}}
	o := owner.Of(q.network, q.container, "any") // the reference does not tell interfaces apart
	if q.iptables {
		return f.iptables.Drop(ctx, o, c)
	}
	return reference.Remove(ctx, f.nft.Conn, o, c)
}

func (f *Filter) gone(comment string, _ netip.Addr) bool {
	network, container := parse(comment)
	return f.dies(network, container)
}

// dies says whether a container of the reference is provably dead: the result that the runtime keeps of its ADD names links on the host, and
// none of them is there. Where nothing is kept there is no proof.
func (f *Filter) dies(network, container string) bool {
	if container == "" {
		return false
	}
	links := 0
	for _, entry := range cache.Of(f.choice.Results, network, container) {
		for _, name := range entry.HostLinks() {
			links++
			if _, err := netlink.LinkByName(name); !errors.As(err, new(netlink.LinkNotFoundError)) {
				return false
			}
		}
	}
	return links > 0
}
