// Command firewall is the CNI plugin of that name.
package main

import (
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/plugins/firewall"
)

func main() { plugin.Main(firewall.Kind().Plugin()) }
