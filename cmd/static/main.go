// Command static is the CNI address plugin static: see plugins/static.
package main

import (
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/plugins/static"
)

func main() { plugin.Main(static.Plugin()) }
