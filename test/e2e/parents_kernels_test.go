//go:build kernels

package e2e

import (
	"testing"

	"github.com/trestle-cni/trestle/pkg/operator/trace"
)

// TestKernelTraceOnParents is TestTraceOnParents of links that not every kernel has.
func TestKernelTraceOnParents(t *testing.T) {
	const one, outside = "192.0.2.11:80", "192.0.2.2:80"
	const five = "ip -n outside addr del 192.0.2.2/24 dev eth0; ip -n outside link add link eth0 name v5 type vlan id 5; ip -n outside addr add 192.0.2.2/24 dev v5; ip -n outside link set v5 up"
	traceOnParents(t, map[string]onParent{
		"neighbours":     {"ipvlan", "", "", "two", one, trace.Reachable, ""},
		"out":            {"ipvlan", "", "", "two", outside, trace.Reachable, ""},
		"in":             {"ipvlan", "", "", "outside", one, trace.Reachable, ""},
		"to the host":    {"ipvlan", "", "", "two", "192.0.2.1:80", trace.Dropped, "keeps a link and those that hang on it apart"},
		"private":        {"ipvlan", `, "flags": "private"`, "", "two", one, trace.Dropped, "kept apart (mode private)"},
		"in a VLAN, out": {"vlan", `, "vlanId": NUMBER`, five, "one", outside, trace.Reachable, ""},
		"in a VLAN, in":  {"vlan", `, "vlanId": NUMBER`, five, "outside", one, trace.Reachable, ""},
		"another VLAN":   {"vlan", `, "vlanId": NUMBER`, five, "two", outside, trace.Dropped, "nobody takes VLAN 6 at eth0"},
		"without one":    {"vlan", `, "vlanId": NUMBER`, "", "one", outside, trace.Dropped, "nobody takes VLAN 5 at eth0"},
	})
}
