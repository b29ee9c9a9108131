// Command vrf is the CNI plugin of that name.
package main

import (
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/plugins/vrf"
)

func main() { plugin.Main(vrf.Kind().Plugin()) }
