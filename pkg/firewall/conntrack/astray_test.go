package conntrack

import (
	"net/netip"
	"testing"

	"github.com/trestle-cni/trestle/pkg/firewall"
)

// TestAstray removes what went past the rules, of any protocol, and nothing that is led where it should be, is of others, or lacks nothing.
func TestAstray(t *testing.T) {
	removes(t, func(table *Table) (int, error) {
		return table.Astray([]firewall.Port{port(udp, "192.0.2.1", 54, "10.1.0.3:54"), port(udp, "", 53, "10.1.0.2:53"), port(udp, "", 53, "10.1.0.2:99"),
			port(tcp, "", 53, "10.1.0.9:53"), port(udp, "", 53, "[fd00::2]:53")}, []netip.Addr{netip.MustParseAddr("10.1.0.7")})
	}, "old target", "the host itself", "by loopback", "to a foreign resolver", "another port", "v6 old target")
}
