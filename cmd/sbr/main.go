// Command sbr is the CNI plugin of that name.
package main

import (
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/plugins/sbr"
)

func main() { plugin.Main(sbr.Kind().Plugin()) }
