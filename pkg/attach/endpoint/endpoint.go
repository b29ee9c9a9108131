// Package endpoint is what the plugins that make an interface share: an IPAM plugin's result, or an earlier result of the plugin's own, read into the
// addresses, routes and gateways of the container's end; the steps that follow from them once there is a link; and the keys that mean the same everywhere.
package endpoint

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Endpoint is the container's end of one attachment. Read from an IPAM plugin's result or from the result that the plan for it returned, it
// is the same.
type Endpoint struct {
	MAC       net.HardwareAddr
	MTU       int // bytes, where prevResult has it
	Addresses []Address
	Routes    []step.Route
	Previous  *types100.Result // prevResult, on CHECK and DEL
	Carried   bool             // by the host link that has the owner's name: one that is to be made, or that prevResult tells of

	cniRoutes []*types.Route // as the result has them
	direct    bool
	dns       types.DNS
}

// Address is one of the container's, with its gateway, which may be missing.
type Address struct {
	Prefix  netip.Prefix // host bits kept
	Gateway netip.Addr   // of the same family
}

// Options is what a plugin's configuration says of its container's end.
type Options struct {
	IPAM    string           // the delegate; empty: no addresses
	MAC     net.HardwareAddr // nil: drawn
	Plain   bool             // it has no address but the one that the link comes with
	Gateway GatewayOf        // the gateway of an address for which the IPAM plugin names none; nil: such an address has none
	Bare    bool             // the delegate may give none
	Default bool             // a default route by the gateway of each family that has none yet
	Direct  bool             // nobody has to be reached first: a route that names no gateway is on the link
}

// GatewayOf says which gateway an address has.
type GatewayOf func(netip.Prefix) (netip.Addr, error)

// Read reads the call's result. Without one it returns an endpoint without values, from which a planner makes the same kinds of steps.
func Read(call attach.Call, o Options) (Endpoint, error) {
	e := Endpoint{MAC: o.MAC, Carried: true, direct: o.Direct}
	if o.Plain {
		e.MAC = nil
	} else if e.MAC == nil {
		e.MAC = call.MAC("container")
	}
	r := call.Result
	if r == nil {
		return e, nil
	}
	in := -1
	if len(r.Interfaces) > 0 {
		e.Previous, e.Carried = r, call.Carried()
		if in = e.readInterface(call, r); in < 0 {
			return e, fault.New(fault.Config, "pass the result of the ADD", "prevResult: no interface %s in sandbox %s", call.IfName, call.Netns)
		}
	}
	if err := e.readAddresses(o, r, in); err != nil {
		return e, err
	}
	e.dns = r.DNS
	if e.Previous == nil {
		if err := plugin.CheckRoutes(r.Routes); err != nil {
			return e, fault.New(fault.Config, "mend the ipam section", "result of %s: %w", o.IPAM, err)
		}
	}
	e.readRoutes(o, r, others(r, in))
	return e, nil
}

// readInterface takes MAC and MTU from prevResult, and returns the index of the container's interface, -1 when it has none.
func (e *Endpoint) readInterface(call attach.Call, r *types100.Result) int {
	in := -1
	for i, link := range r.Interfaces {
		if link.Sandbox != "" && link.Name == call.IfName && (call.Netns == "" || link.Sandbox == call.Netns) {
			in, e.MTU = i, link.Mtu
			e.MAC, _ = net.ParseMAC(link.Mac)
		}
	}
	return in
}

// HostEnd returns name and MAC of the host's end of a pair of links: those of prevResult, else those that the pair will have. shared is a link of the
// host that is nobody's end (a bridge).
func HostEnd(call attach.Call, shared string) (string, net.HardwareAddr) {
	name := call.Owner.HostLink()
	if call.Result == nil || len(call.Result.Interfaces) == 0 {
		return name, call.MAC("host")
	}
	var found net.HardwareAddr
	derived := name
	for _, link := range call.Result.Interfaces {
		mac, _ := net.ParseMAC(link.Mac)
		switch {
		case link.Sandbox != "" || link.Name == shared || !strings.HasPrefix(link.Name, "veth"):
		case link.Name == derived, found == nil: // the reference's have random names
			name, found = link.Name, mac
		}
	}
	return name, found
}

// readAddresses takes the addresses that are the container's: all of an IPAM plugin's, those of interface number in of prevResult.
func (e *Endpoint) readAddresses(o Options, r *types100.Result, in int) error {
	for _, ip := range r.IPs {
		if in >= 0 && ip.Interface != nil && *ip.Interface != in {
			continue
		}
		a := Address{Prefix: attach.Prefix(ip.Address)}
		if at := a.Prefix.Addr(); !at.IsValid() || at.IsUnspecified() || at.IsMulticast() || at.IsLoopback() { // which a kernel takes, and has nothing of
			return fault.New(fault.Delegate, "mend the ipam section", "result of %s: %s: must be an address that a container can have", o.IPAM, &ip.Address)
		}
		a.Gateway, _ = hop(ip.Gateway)
		if gw := net.IP(ip.Gateway); e.Previous == nil && len(gw) > 0 && (gw.To4() != nil) != a.Prefix.Addr().Is4() {
			return fault.New(fault.Config, "mend the ipam section", "result of %s: gateway %s of %s: must be of one family", o.IPAM, gw, a.Prefix)
		}
		if o.Gateway != nil && !a.Gateway.IsValid() {
			var err error
			if a.Gateway, err = o.Gateway(a.Prefix); err != nil {
				return err
			}
		}
		e.Addresses = append(e.Addresses, a)
	}
	if o.IPAM != "" && !o.Bare && in < 0 && len(e.Addresses) == 0 {
		return fault.New(fault.Delegate, "mend the ipam section", "result of %s: no address", o.IPAM)
	}
	return e.rejectOwn(o)
}

// rejectOwn refuses a gateway that the host is to have where the container has it: each would take itself for the other.
func (e *Endpoint) rejectOwn(o Options) error {
	for _, a := range e.Addresses {
		has := func(b Address) bool { return b.Prefix.Addr() == a.Gateway }
		if o.Gateway != nil && e.Previous == nil && slices.ContainsFunc(e.Addresses, has) {
			return fault.New(fault.Config, "name a gateway that the container does not have", "result of %s: gateway %s of %s: is the container's own address", o.IPAM, a.Gateway, a.Prefix)
		}
	}
	return nil
}

// Gateways returns what goes on the host's link to the subnet, IPv4 first, each once: the gateway with the length of the address' subnet.
func (e *Endpoint) Gateways() []netip.Prefix {
	var list []netip.Prefix
	for _, is4 := range []bool{true, false} {
		for _, a := range e.Addresses {
			p := netip.PrefixFrom(a.Gateway, a.Prefix.Bits())
			if a.Gateway.IsValid() && a.Gateway.Is4() == is4 && !slices.Contains(list, p) {
				list = append(list, p)
			}
		}
	}
	return list
}

// HasGateway says whether an address of the family has a gateway.
func (e *Endpoint) HasGateway(family func(netip.Addr) bool) bool {
	return slices.ContainsFunc(e.Addresses, func(a Address) bool { return a.Gateway.IsValid() && family(a.Gateway) })
}

// Prefixes returns the addresses, each with the length of its subnet.
func (e *Endpoint) Prefixes() []netip.Prefix {
	var list []netip.Prefix
	for _, a := range e.Addresses {
		list = append(list, a.Prefix)
	}
	return list
}

// Addrs returns the addresses alone.
func (e *Endpoint) Addrs() []netip.Addr {
	var list []netip.Addr
	for _, a := range e.Addresses {
		list = append(list, a.Prefix.Addr())
	}
	return list
}
