// Command dhcp is the CNI plugin of that name and, as `dhcp daemon`, its daemon.
package main

import (
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/plugins/dhcp"
)

func main() { plugin.Main(dhcp.Plugin()) }
