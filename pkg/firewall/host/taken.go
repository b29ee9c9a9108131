package host

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/reference"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// other is a port that somebody has under another backend than the chosen one, or by the reference.
type other struct {
	firewall.Port
	holder             firewall.Holder // of one that is ours
	by                 firewall.Filter // that has it; nil: it is not ours
	network, container string          // of one that is not, as far as they are known
	who                string
	iptables           bool // where it is
}

// elsewhere refuses a claim of which somebody alive has a port under another backend: only one of both would get the packets. What the dead have
// goes.
func (f *Filter) elsewhere(ctx context.Context, o owner.Owner, c firewall.Claim, dead func(firewall.Holder) bool) error {
	if c.Role != firewall.Publish || len(c.Ports) == 0 {
		return nil
	}
	others, err := f.ports(ctx)
	if err != nil {
		return fmt.Errorf("ports of other backends: %w", err)
	}
	others = slices.DeleteFunc(others, func(q other) bool { return q.of(o) })
	held := indexOf(others)
	for _, p := range c.Ports {
		q, found := held.rival(p)
		if !found {
			continue
		}
		if !f.died(q, dead) {
			what := fmt.Sprintf("host port %d", p.HostPort)
			if packetsOf(p) != packetsOf(q.Port) {
				what = "published address " + p.Target.Addr().String() // the host's routes lead to one of two containers that have it
			}
			return firewall.HeldBy(what, q.who)
		}
		if err := f.evict(ctx, q); err != nil {
			return err
		}
		if q.by != nil { // with all that he had
			others = slices.DeleteFunc(others, func(r other) bool { return r.by != nil && r.holder.ID == q.holder.ID })
			held = indexOf(others)
		}
	}
	return nil
}

// of says whether the port is the owner's own, or the same container's by another network.
func (q other) of(o owner.Owner) bool {
	if q.by != nil {
		return q.holder.ID == o.ID || o.Beside(q.holder.Owner)
	}
	return strings.Contains(o.Text, "/"+q.container+"/")
}

// died says whether who has the port is provably dead.
func (f *Filter) died(q other, dead func(firewall.Holder) bool) bool {
	if q.by != nil {
		return dead != nil && dead(q.holder)
	}
	return f.dies(q.network, q.container)
}

// packets are those that a port is for. One of one address and one of all may both be held.
type packets struct {
	protocol uint8
	port     uint16
	is4      bool
	addr     netip.Addr // zero: every address of the host
}

func packetsOf(p firewall.Port) packets {
	at := packets{p.Protocol, p.HostPort, p.Target.Addr().Is4(), p.HostIP}
	if p.HostIP.IsUnspecified() {
		at.addr = netip.Addr{}
	}
	return at
}

// index finds ports of others: by their packets, and those of ours by the address that they lead to.
type index struct {
	packets map[packets]other
	targets map[netip.Addr]other
}

func indexOf(others []other) index {
	i := index{make(map[packets]other), make(map[netip.Addr]other)}
	for _, q := range slices.Backward(others) { // the first counts
		i.packets[packetsOf(q.Port)] = q
		if q.by != nil {
			i.targets[q.Target.Addr()] = q
		}
	}
	return i
}

// rival returns who has the port, or else who publishes ports of the address that it leads to.
func (i index) rival(p firewall.Port) (other, bool) {
	q, found := i.packets[packetsOf(p)]
	if !found {
		q, found = i.targets[p.Target.Addr()]
	}
	return q, found
}

// ports lists what the reference has under nftables, and what anybody has under the backend that is not chosen. The chosen one looks after its
// own.
func (f *Filter) ports(ctx context.Context) (list []other, err error) {
	found, err := reference.Ports(f.nft.Conn)
	if err != nil {
		return nil, err
	}
	for _, p := range found {
		list = append(list, other{Port: p.Port, container: p.Container, who: "container " + p.Container + " of another suite of plugins"})
	}
	if f.choose(ctx) != firewall.Filter(f.nft) {
		held, err := f.nft.Ports(ctx)
		for _, p := range held {
			list = append(list, other{Port: p.Port, holder: p.Holder, by: f.nft, who: p.Text + ", under nftables"})
		}
		return list, f.tolerant(ctx, err)
	}
	foreign, err := f.iptables.Foreign(ctx)
	for _, p := range foreign {
		q := other{Port: p.Port, iptables: true, who: "a container under iptables, " + p.Comment}
		if q.network, q.container = firewall.Named(p.Comment); p.Ours {
			q.holder, q.by, q.who = p.Holder, f.iptables, p.Text+", under iptables"
		}
		list = append(list, q)
	}
	return list, err
}

// evict removes what somebody dead has to the target. His rules would come before ours.
func (f *Filter) evict(ctx context.Context, q other) error {
	if q.by != nil {
		return q.by.Drop(ctx, q.holder.Owner, firewall.Claim{Role: firewall.Publish})
	}
	c := firewall.Claim{Role: firewall.Publish, Ports: []firewall.Port{q.Port}}
	o := owner.Of(q.network, q.container, "any") // the reference does not tell interfaces apart
	if q.iptables {
		return f.iptables.Drop(ctx, o, c)
	}
	return reference.Remove(ctx, f.nft.Conn, o, c)
}

func (f *Filter) gone(comment string, _ netip.Addr) bool {
	network, container := firewall.Named(comment)
	return f.dies(network, container)
}

// dies says whether a container of the reference is provably dead: the result that the runtime keeps of its ADD names links on the host, and
// none of them is there, nor is its network namespace. Where nothing is kept there is no proof.
func (f *Filter) dies(network, container string) bool {
	if container == "" {
		return false
	}
	links := 0
	for _, entry := range cache.Of(f.choice.Results, network, container) {
		if entry.Lives() {
			return false
		}
		for _, name := range entry.HostLinks() {
			links++
			if !absent(name) {
				return false
			}
		}
	}
	return links > 0
}

// absent says whether there is no such link; what cannot be looked at may be there.
func absent(link string) bool {
	_, err := netlink.LinkByName(link)
	return errors.As(err, new(netlink.LinkNotFoundError))
}
