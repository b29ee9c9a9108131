// Command dummy is the CNI plugin of that name.
package main

import (
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/plugins/dummy"
)

func main() { plugin.Main(dummy.Kind().Plugin()) }
