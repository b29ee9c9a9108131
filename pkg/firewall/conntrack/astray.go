package conntrack

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
)

// The state of a flow (enum ip_conntrack_status of linux/netfilter/nf_conntrack_common.h), and what a dump is asked for by it.
const (
	ctaStatus     = 3
	ctaStatusMask = 26 // younger kernels send by it those alone that are asked for
	answered      = 1 << 1
)

// Astray removes the flows that began while the rules were away: begun to one of the ports and not led to its target, or by an address that is
// masqueraded, with that address. Whoever sends again, as TCP does by itself, begins anew. Those that somebody answered stay: they have found their
// way. It returns how many were removed.
func (t *Table) Astray(ports []firewall.Port, masqueraded []netip.Addr) (removed int, err error) {
	if t.empty() {
		return 0, nil
	}
	targets, sources := make(map[uint16][]firewall.Port), make(map[netip.Addr]bool)
	for _, p := range ports {
		targets[p.HostPort] = append(targets[p.HostPort], p)
	}
	for _, addr := range masqueraded {
		sources[addr] = true
	}
	flows, err := t.unanswered()
	for _, f := range flows {
		if sources[f.original.source.Addr()] && f.reply.destination == f.original.source || f.past(targets[f.original.destination.Port()]) {
			gone, failed := t.delete(family(f.original.source.Addr()), f)
			removed, err = removed+gone, errors.Join(err, failed)
		}
	}
	return removed, err
}

// past says whether the flow was begun to one of the ports, and nothing of it is led to where the ports lead.
func (f flow) past(ports []firewall.Port) (past bool) {
	everywhere := func(netip.Addr) bool { return true }
	for _, p := range ports {
		if family(p.Target.Addr()) != family(f.original.source.Addr()) || !f.to(p, everywhere) {
			continue
		}
		if f.reply.source == p.Target {
			return false
		}
		past = true
	}
	return past
}

// unanswered are the flows of both families that nobody has answered.
func (t *Table) unanswered() ([]flow, error) {
	e := netlink.NewAttributeEncoder()
	e.ByteOrder = binary.BigEndian
	e.Uint32(ctaStatus, 0)
	e.Uint32(ctaStatusMask, answered)
	answers, err := t.execute(unix.AF_UNSPEC, msgGet, netlink.Request|netlink.Dump, e)
	return parseAll(answers, err, func(f flow) bool { return f.status&answered == 0 })
}
