// Command bandwidth is the CNI plugin of that name.
package main

import (
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/plugins/bandwidth"
)

func main() { plugin.Main(bandwidth.Kind().Plugin()) }
