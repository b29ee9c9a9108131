// Package conntrack removes flows that a change of published ports has made wrong.
//
// The kernel asks the packet filter about the first packet of a flow only (chains of the type nat), and remembers the answer. A client that
// goes on sending from one port, as resolvers, log shippers and telephones do, would so be led past a new mapping, or to a container that
// has gone, until it pauses for the time-out of its flow. TCP needs no help: a new connection is a new flow.
//
// Flows are found by a dump and removed one by one, each by its whole tuple and its ID. The kernel filters the dump by protocol and port (CTA_FILTER,
// Linux 5.8, linux/netfilter/nfnetlink_conntrack.h); an older one sends all, and what is looked for is looked for again here. A removal
// never carries a filter: a kernel that does not know it would empty the table.
package conntrack

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
)

// Table is the connection tracking of the network namespace in which it was opened.
type Table struct{ conn *netlink.Conn }

// Open opens the table of the calling thread's namespace.
func Open() (*Table, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, fmt.Errorf("conntrack: %w", err)
	}
	return &Table{conn}, nil
}

// Close closes the table.
func (t *Table) Close() error { return t.conn.Close() }

// Ready returns nil where flows can be found and removed here, else a fault with code NoService.
func (t *Table) Ready() error {
	if _, err := t.stats(); err != nil {
		return fault.New(fault.NoService, "load the kernel's module nf_conntrack_netlink; the plugin needs CAP_NET_ADMIN",
			"connection tracking: the kernel does not answer: %w", err)
	}
	return nil
}

// Tracked says whether flows of the protocol, by its IANA number, outlive their clients' connections, so that they must be removed.
func Tracked(protocol uint8) bool {
	return protocol == unix.IPPROTO_UDP || protocol == unix.IPPROTO_SCTP
}

// Divert removes the flows that were begun to one of the ports and are not led to its target: they would bypass the mapping. A port of every
// address of the host counts for those that local knows. It returns how many were removed.
func (t *Table) Divert(ports []firewall.Port, local func(netip.Addr) bool) (int, error) {
	return t.remove(ports, func(p firewall.Port, f flow) bool { return f.to(p, local) && f.reply.source != p.Target })
}

// Cut removes the flows that lead from one of the ports to its target. It returns how many were removed.
func (t *Table) Cut(ports []firewall.Port) (int, error) {
	everywhere := func(netip.Addr) bool { return true } // what led there was translated, and so was for the host
	return t.remove(ports, func(p firewall.Port, f flow) bool { return f.to(p, everywhere) && f.reply.source == p.Target })
}

// group is what one dump is asked for.
type group struct {
	family, protocol uint8
}

// groups sorts the ports, those whose flows have to be removed, by what one dump is asked for and by the port.
func groups(ports []firewall.Port) map[group]map[uint16][]firewall.Port {
	groups := make(map[group]map[uint16][]firewall.Port)
	for _, p := range ports {
		if !Tracked(p.Protocol) {
			continue
		}
		g := group{family(p.Target.Addr()), p.Protocol}
		if groups[g] == nil {
			groups[g] = make(map[uint16][]firewall.Port)
		}
		groups[g][p.HostPort] = append(groups[g][p.HostPort], p)
	}
	return groups
}

func (t *Table) remove(ports []firewall.Port, wrong func(firewall.Port, flow) bool) (removed int, err error) {
	groups := groups(ports)
	if len(groups) == 0 || t.empty() {
		return 0, nil
	}
	for g, byPort := range groups {
		flows, failed := t.dump(g, byPort)
		err = errors.Join(err, failed)
		for _, f := range flows {
			for _, p := range byPort[f.original.destination.Port()] {
				if wrong(p, f) {
					gone, failed := t.delete(g.family, f)
					err = errors.Join(err, failed)
					removed += gone
					break
				}
			}
		}
	}
	return removed, err
}

// to says whether the flow was begun to the port: to its host address or, if it has none, to one that local knows.
func (f flow) to(p firewall.Port, local func(netip.Addr) bool) bool {
	at := f.original.destination
	switch {
	case f.protocol != p.Protocol || at.Port() != p.HostPort:
		return false
	case p.HostIP.IsValid() && !p.HostIP.IsUnspecified():
		return at.Addr() == p.HostIP
	}
	return local(at.Addr())
}

func family(addr netip.Addr) uint8 {
	if addr.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
