// Command ipvlan is the CNI plugin of that name.
package main

import (
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/plugins/ipvlan"
)

func main() { plugin.Main(ipvlan.Kind().Plugin()) }
