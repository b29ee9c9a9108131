// Package bridge attaches containers to a bridge on the host: a veth pair each, with addresses, routes and masquerade where an IPAM
// plugin is named, and plain Ethernet where none is.
package bridge

import (
	"encoding/hex"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/digest"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/host"
)

// Kind is the plugin: its name, its parser and its planner.
func Kind() attach.Kind[Config] {
	return attach.Kind[Config]{
		Name:   "bridge",
		Args:   true,
		Parse:  Parse,
		Plan:   Plan,
		IPAM:   func(c Config) string { return c.IPAM },
		Filter: func(c Config) (firewall.Filter, error) { return host.Open(host.Choice{Backend: c.Backend}), nil },
	}
}

// vlanPeer names the bridge's port behind the gateway's interface on a VLAN. It follows from that interface's name.
func vlanPeer(c Config) string {
	sum := digest.SHA256(c.vlanLink())
	return "veth" + hex.EncodeToString(sum[:])[:11]
}
