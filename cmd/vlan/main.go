// Command vlan is the CNI plugin of that name.
package main

import (
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/plugins/vlan"
)

func main() { plugin.Main(vlan.Kind().Plugin()) }
