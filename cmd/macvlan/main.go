// Command macvlan is the CNI plugin of that name.
package main

import (
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/plugins/macvlan"
)

func main() { plugin.Main(macvlan.Kind().Plugin()) }
