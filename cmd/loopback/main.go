// Command loopback is the CNI plugin of that name.
package main

import (
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/plugins/loopback"
)

func main() { plugin.Main(loopback.Kind().Plugin()) }
