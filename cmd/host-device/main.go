// Command host-device is the CNI plugin of that name.
package main

import (
	"github.com/trestle-cni/trestle/pkg/plugin"
	hostdevice "github.com/trestle-cni/trestle/plugins/host-device"
)

func main() { plugin.Main(hostdevice.Kind().Plugin()) }
