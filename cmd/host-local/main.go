// Command host-local is the CNI address plugin host-local: see plugins/host-local.
package main

import (
	"github.com/trestle-cni/trestle/pkg/plugin"
	hostlocal "github.com/trestle-cni/trestle/plugins/host-local"
)

func main() { plugin.Main(hostlocal.Plugin()) }
