package reference

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"

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
			if r := read(rule); r.does == "dnat" && r.port != 0 {
				ports = append(ports, Port{r.asPort(), r.comment})
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
