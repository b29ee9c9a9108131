package iptables

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Published lists the ports that lead to the owner's addresses now, in all families and flavours, those that the reference made for its network
// and container among them.
func (f *Filter) Published(ctx context.Context, o owner.Owner, c firewall.Claim) (ports []firewall.Port, err error) {
	n, named := namesOf(o)
	if !named || c.Role != firewall.Publish {
		return nil, nil
	}
	tools, err := f.holding(ctx, o, c.Role)
	if err != nil {
		return nil, err
	}
	for _, t := range tools {
		s, err := t.load(ctx)
		if err != nil {
			return nil, err
		}
		for _, m := range s.nat.mappings(n.dnatChain()) {
			h, known := s.holder(firewall.Publish, n.dnatChain(), m.target.Addr())
			if !known || h.ID == o.ID {
				ports = append(ports, m.asPort())
			}
		}
	}
	return ports, nil
}

// beside says whether the mapping is the same container's, by another network: the first gets the packets, as in the reference.
func (p published) beside(s *state, o owner.Owner) bool {
	if p.known {
		return o.Beside(p.Owner)
	}
	_, id, _, whole := o.Names()
	_, named := firewall.Named(s.commentOf(p.chain))
	return whole && named == id
}

// Foreign is a port that somebody has.
type Foreign struct {
	firewall.Port          // protocol, host address, host port and target
	Comment         string // of the rules: the network and the container
	firewall.Holder        // of one that is ours
	Ours            bool
}

// Foreign lists the ports that are held in iptables, in all families and flavours, by containers of ours or of the reference. It is for
// whoever publishes under another backend.
func (f *Filter) Foreign(ctx context.Context) (list []Foreign, err error) {
	k, err := f.look()
	if err != nil {
		return nil, err
	}
	defer k.close()
	for _, p := range places() {
		there, err := k.has(ctx, p, "nat", hostports)
		if err != nil {
			return nil, err
		}
		if !there || p.flavour == onNFT && k.empty(p.family, "nat", hostports) {
			continue // the reference never removes the chain: most often there is nothing in it
		}
		some, err := f.foreignIn(ctx, p)
		if err != nil {
			return nil, err
		}
		list = append(list, some...)
	}
	return list, nil
}

func (f *Filter) foreignIn(ctx context.Context, where place) (list []Foreign, err error) {
	t, err := f.find(ctx, where.family, where.flavour)
	if err != nil {
		return nil, err
	}
	s, err := t.load(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range s.published() {
		list = append(list, Foreign{p.asPort(), s.commentOf(p.chain), p.Holder, p.known})
	}
	return list, nil
}

// commentOf returns the comment of the first entry that leads to the chain.
func (s *state) commentOf(chain string) string {
	for _, rule := range s.nat.jumps(hostports, chain) {
		return strings.TrimPrefix(value(rule, "--comment"), "dnat ")
	}
	return ""
}

func (m mapping) asPort() firewall.Port {
	number := slices.IndexFunc([]string{"tcp", "udp", "sctp"}, func(name string) bool { return name == m.protocol })
	p := firewall.Port{HostIP: m.hostIP, HostPort: m.port, Target: m.target}
	if number >= 0 {
		p.Protocol = []uint8{unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_SCTP}[number]
	}
	return p
}

// Gone says whether the container is provably dead whose rules have the comment, and whose address is target.
type Gone func(comment string, target netip.Addr) bool
