// Command bridge is the CNI plugin of that name.
package main

import (
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/plugins/bridge"
)

func main() { plugin.Main(bridge.Kind().Plugin()) }
