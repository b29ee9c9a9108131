// Command portmap is the CNI plugin of that name.
package main

import (
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/plugins/portmap"
)

func main() { plugin.Main(portmap.Kind().Plugin()) }
