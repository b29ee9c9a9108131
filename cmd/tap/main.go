// Command tap is the CNI plugin of that name.
package main

import (
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/plugins/tap"
)

func main() { plugin.Main(tap.Kind().Plugin()) }
