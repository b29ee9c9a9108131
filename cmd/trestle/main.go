// Command trestle is all plugins in one binary, and the operator's tool.
//
// Called by a plugin's name (a link to it in the runtime's directory) or with CNI_COMMAND set, it is that plugin; as `trestle plugin
// NAME` too. Otherwise it is a command line.
package main

import (
	"os"
	"path/filepath"

	"github.com/trestle-cni/trestle/pkg/operator/tool"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/plugins/bandwidth"
	"github.com/trestle-cni/trestle/plugins/bridge"
	"github.com/trestle-cni/trestle/plugins/chain"
	"github.com/trestle-cni/trestle/plugins/dhcp"
	"github.com/trestle-cni/trestle/plugins/dummy"
	"github.com/trestle-cni/trestle/plugins/firewall"
	hostdevice "github.com/trestle-cni/trestle/plugins/host-device"
	hostlocal "github.com/trestle-cni/trestle/plugins/host-local"
	"github.com/trestle-cni/trestle/plugins/ipvlan"
	"github.com/trestle-cni/trestle/plugins/loopback"
	"github.com/trestle-cni/trestle/plugins/macvlan"
	"github.com/trestle-cni/trestle/plugins/portmap"
	"github.com/trestle-cni/trestle/plugins/ptp"
	"github.com/trestle-cni/trestle/plugins/sbr"
	"github.com/trestle-cni/trestle/plugins/static"
	"github.com/trestle-cni/trestle/plugins/tap"
	"github.com/trestle-cni/trestle/plugins/tuning"
	"github.com/trestle-cni/trestle/plugins/vlan"
	"github.com/trestle-cni/trestle/plugins/vrf"
)

func main() {
	bundle := plugin.Bundle{}
	for _, p := range []plugin.Plugin{
		bandwidth.Kind().Plugin(), bridge.Kind().Plugin(), chain.Plugin(), dhcp.Plugin(), dummy.Kind().Plugin(), firewall.Kind().Plugin(), hostdevice.Kind().Plugin(),
		hostlocal.Plugin(), ipvlan.Kind().Plugin(), loopback.Kind().Plugin(), macvlan.Kind().Plugin(), portmap.Kind().Plugin(), ptp.Kind().Plugin(),
		sbr.Kind().Plugin(), static.Plugin(), tap.Kind().Plugin(), tuning.Kind().Plugin(), vlan.Kind().Plugin(), vrf.Kind().Plugin(),
	} {
		bundle[p.Name] = p
	}
	name := filepath.Base(os.Args[0]) // untrusted: only a name that the bundle has counts
	if _, held := bundle[name]; held && (name != chain.Name || os.Getenv("CNI_COMMAND") != "") {
		bundle.Main(name)
	}
	os.Exit(tool.Main(bundle, os.Args[1:]))
}
