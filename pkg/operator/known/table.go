package known

import (
	"github.com/trestle-cni/trestle/pkg/dhcp/folder"
	"github.com/trestle-cni/trestle/pkg/operator/draw"
)

// table has an entry for each plugin of the suite.
var table = []Plugin{
	{Name: "trestle", Part: List},
	{Name: "bridge", Part: Interface,
		Bridge: Key{"bridge", "cni0"}, Gateway: []string{"isGateway", "isDefaultGateway"}, Masquerade: "ipMasq", Backend: "ipMasqBackend", Tells: []string{"sysctl"},
		Links: []Link{{Kind: KindBridge, Mark: "trestle bridge", Drawn: draw.Bridge}, {Kind: KindVeth}},
		Every: map[string]any{"ipMasq": true, "macspoofchk": true, "ipam": map[string]any{"type": "host-local"}},
	},
	{Name: "ptp", Part: Interface, Masquerade: "ipMasq", Backend: "ipMasqBackend", Tells: []string{"sysctl"}, Links: []Link{{Kind: KindVeth}, {Kind: KindNetkit}}}, // the GC of bridge finds its links and claims
	{Name: "macvlan", Part: Interface, Parent: Key{Name: "master"}, Lan: true, Links: []Link{{Kind: KindMacvlan, Stacked: true}}},
	{Name: "ipvlan", Part: Interface, Parent: Key{Name: "master"}, Lan: true, Links: []Link{{Kind: KindIPvlan, Stacked: true}}},
	{Name: "vlan", Part: Interface, Parent: Key{Name: "master"}, Links: []Link{{Kind: KindVLAN, Stacked: true}}},
	{Name: "tap", Part: Interface, Bridge: Key{Name: "bridge"}, Links: []Link{{Kind: KindTun, Opaque: true}}},
	{Name: "host-device", Part: Interface, Every: map[string]any{"device": "any"}},
	{Name: "dummy", Part: Interface, Links: []Link{{Kind: KindDummy, Opaque: true}}},
	{Name: "loopback", Part: Interface, Unmarked: true},

	{Name: "host-local", Part: Address, Ranges: true},
	{Name: "static", Part: Address},
	{Name: "dhcp", Part: Address, Daemon: Key{"daemonSocketPath", folder.Socket}},

	{Name: "portmap", Part: Chained, Backend: "backend", Publishes: "portMappings", Every: map[string]any{},
		Needs: "portMappings", Idle: "publishes nothing: a runtime hands out ports only to"},
	{Name: "bandwidth", Part: Chained, Told: "bandwidth", Tells: []string{"ingressRate", "ingressBurst", "egressRate", "egressBurst", "unshapedSubnets", "shapedSubnets"}, Every: map[string]any{}, Links: []Link{{Kind: KindIFB, Opaque: true, Beside: true}},
		Flows: [][2]string{{"ingressRate", "ingressBurst"}, {"egressRate", "egressBurst"}}, MostBurst: "maxBurst"},
	{Name: "firewall", Part: Chained, Tells: []string{"backend", "ingressPolicy", "iptablesAdminChainName", "firewalldZone"}, Backend: "backend", Every: map[string]any{"ingressPolicy": "isolated"}},
	{Name: "tuning", Part: Chained, Every: map[string]any{}, Resizes: "mtu", Tells: []string{"mac", "mtu", "promisc", "allmulti", "txQLen", "sysctl"},
		Allows: "sysctl", AllowList: "/etc/cni/tuning/allowlist.conf"},
	{Name: "sbr", Part: Chained},
	{Name: "vrf", Part: Chained},
}

// strangers are plugins of other suites that are widely used.
var strangers = []string{"antrea", "aws-cni", "azure-vnet", "calico", "calico-ipam", "cilium-cni", "egress-cni", "flannel", "kube-ovn", "multus", "ovs", "sriov",
	"weave-net", "whereabouts"}

// Runner is the plugin that runs a whole list in one process; the binary that all plugins are in has its name.
const Runner = "trestle"
