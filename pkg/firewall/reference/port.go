package reference

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"

	"github.com/trestle-cni/trestle/pkg/firewall"
)

// Port is a published port in a table cni_hostport: protocol, host address, host port and target are known.
type Port struct {
	firewall.Port
	Container string // its ID; the network is not told
}

// Ports lists the ports that the reference's nftables backend holds on the host.
func Ports(open Connector) (ports []Port, err error) {
	conn, err := open()
	if err != nil {
		return nil, nil // no nf_tables, no ports
	}
	tables, err := conn.ListTables()
	if err != nil {
		return nil, without(err)
	}
	for _, table := range tables {
		if !isHostport(table) {
			continue
		}
		rules, err := commented(conn.Conn, table, func(string) bool { return true }, "hostports", "hostip_hostports")
		if err != nil {
			return nil, err
		}
		for _, rule := range rules {
			if p, ok := portOf(rule); ok {
				p.Container, _ = userdata.GetString(rule.UserData, userdata.TypeComment)
				ports = append(ports, p)
			}
		}
	}
	return ports, nil
}

// operands returns the values that a rule compares with or loads.
func operands(r *nftables.Rule) (list [][]byte) {
	for _, e := range r.Exprs {
		switch e := e.(type) {
		case *expr.Cmp:
			list = append(list, e.Data)
		case *expr.Immediate:
			list = append(list, e.Data)
		}
	}
	return list
}

// portOf reads `[ip daddr A] P dport N dnat to B:M`: comparisons with the address, the protocol and the port, then the new address and port.
func portOf(r *nftables.Rule) (p Port, ok bool) {
	var loaded expr.Any // what the register holds that is compared next
	var target [][]byte
	translates := false
	for _, e := range r.Exprs {
		switch e := e.(type) {
		case *expr.Payload, *expr.Meta:
			loaded = e
		case *expr.Cmp:
			p.compared(loaded, e)
		case *expr.Immediate:
			target = append(target, e.Data)
		case *expr.NAT:
			translates = e.Type == expr.NATTypeDestNAT
		}
	}
	if !translates || len(target) != 2 || len(target[1]) != 2 {
		return p, false
	}
	addr, ok := netip.AddrFromSlice(target[0])
	p.Target = netip.AddrPortFrom(addr, binary.BigEndian.Uint16(target[1]))
	return p, ok && p.HostPort != 0
}

// compared notes what a comparison says of the packets.
func (p *Port) compared(loaded expr.Any, c *expr.Cmp) {
	switch from := loaded.(type) {
	case *expr.Meta:
		if from.Key == expr.MetaKeyL4PROTO && len(c.Data) == 1 {
			p.Protocol = c.Data[0]
		}
	case *expr.Payload:
		addr, isAddr := netip.AddrFromSlice(c.Data)
		switch {
		case from.Base == expr.PayloadBaseTransportHeader && from.Offset == 2 && len(c.Data) == 2:
			p.HostPort = binary.BigEndian.Uint16(c.Data)
		case from.Base == expr.PayloadBaseNetworkHeader && isAddr:
			p.HostIP = addr
		}
	}
}
