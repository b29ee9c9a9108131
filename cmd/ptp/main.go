// Command ptp is the CNI plugin of that name.
package main

import (
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/plugins/ptp"
)

func main() { plugin.Main(ptp.Kind().Plugin()) }
