// Command tuning is the CNI plugin of that name.
package main

import (
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/plugins/tuning"
)

func main() { plugin.Main(tuning.Kind().Plugin()) }
