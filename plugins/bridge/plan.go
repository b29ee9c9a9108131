package bridge

import (
	"cmp"
	"net"
	"net/netip"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/attach/endpoint"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/step"
)

// network is one container's place on the bridge: both ends of its pair of links.
type network struct {
	endpoint.Endpoint
	host    string // the host end's name
	hostMAC net.HardwareAddr
}

func (c Config) l3() bool { return c.IPAM != "" }

// options says what a result means to the container's end: on a bridge with a gateway, each address has one.
func (c Config) options() endpoint.Options {
	o := endpoint.Options{IPAM: c.IPAM, MAC: c.MAC, Default: c.IsDefaultGateway}
	if c.l3() && c.IsGateway {
		o.Gateway = firstOf
	}
	return o
}

// firstOf returns the address after the subnet's own. In a subnet of two it is the one that the container does not have (RFC 3021,
// RFC 6164). There is none in a subnet of one, and none where the container has it.
func firstOf(p netip.Prefix) (netip.Addr, error) {
	base := p.Masked().Addr()
	first := base.Next()
	switch pair := p.Bits() == p.Addr().BitLen()-1; {
	case p.IsSingleIP():
	case first != p.Addr():
		return first, nil
	case pair:
		return base, nil
	}
	return netip.Addr{}, fault.New(fault.Config, "let the IPAM plugin name a gateway, or leave isGateway out",
		"isGateway: true: address %s leaves no room for a gateway", p)
}

// Plan says what one container's attachment to a bridge consists of. It is pure: what it cannot know (the addresses, when no result is
// there yet) it leaves out of the values, never out of the list.
func Plan(c Config, call attach.Call) (plan.Plan, error) {
	n := network{}
	n.host, n.hostMAC = endpoint.HostEnd(call, c.Bridge)
	var err error
	n.Endpoint, err = endpoint.Read(call, c.options())
	if err != nil {
		return plan.Plan{}, err
	}
	p := plan.Plan{Lock: c.Bridge, Ground: ground(c, call, n), Steps: links(c, call, n), Result: result(c, call, n)}
	p.Mark = len(p.Steps)
	p.Steps = append(p.Steps, rest(c, call, n)...)
	return p, nil
}

// ground is what all containers on the bridge share.
func ground(c Config, call attach.Call, n network) []plan.Step {
	var steps []plan.Step
	if c.l3() && (c.IPMasq || c.IsGateway) || c.MACSpoofCheck {
		steps = append(steps, step.Tables{}) // the first to be made and the last to go, since they guard what the bridge lets in
	}
	steps = append(steps, step.Bridge{Name: c.Bridge, MAC: call.MAC("bridge"), MTU: c.MTU, Promisc: c.Promisc, VLANFiltering: c.VLANFiltering,
		Gateway: c.l3() && c.IsGateway})
	if c.l3() && c.IsGateway {
		gateway := step.Gateway{Link: c.hostLink(), Addrs: n.Gateways(), Force: c.ForceAddress, Blocks: c.Blocks}
		if c.VLAN != 0 {
			gateway.Bridge = c.Bridge
			steps = append(steps, step.VLANPort{Name: c.vlanLink(), Port: vlanPeer(c), Bridge: c.Bridge, VLAN: c.VLAN, MAC: call.MAC("vlan")})
		}
		steps = append(steps, gateway, step.Forwarding{IPv4: n.HasGateway(netip.Addr.Is4), IPv6: n.HasGateway(netip.Addr.Is6)})
	}
	return steps
}

// links is what needs no addresses.
func links(c Config, call attach.Call, n network) []plan.Step {
	steps := []plan.Step{step.Veth{Owner: call.Owner, Host: n.host, IfName: call.IfName, Bridge: c.Bridge, HostMAC: n.hostMAC, MAC: n.MAC,
		MTU: c.MTU, ContainerMTU: cmp.Or(n.MTU, c.MTU), Hairpin: c.Hairpin, Isolated: c.Isolated, Guarded: c.l3() && c.IsGateway}}
	if c.VLAN != 0 || len(c.Trunk) > 0 {
		steps = append(steps, step.PortVLANs{Link: n.host, Access: c.VLAN, Trunk: c.Trunk, KeepDefault: c.KeepDefaultVLAN})
	}
	if c.l3() && c.IsGateway {
		steps = append(steps, step.Guard{Owner: call.Owner, Host: n.host, Bridge: c.Bridge})
	}
	if c.MACSpoofCheck {
		spoof := firewall.Spoof{Link: n.host, MAC: n.MAC}
		claim := firewall.Claim{Role: firewall.Antispoof, Linked: n.Carried, Spoof: []firewall.Spoof{spoof}}
		steps = append(steps, step.Claim{Owner: call.Owner, Claim: claim, Known: true})
	}
	if c.l3() && c.Late { // a delegate that looks at the interface finds its other end up
		steps = append(steps, step.Up{Host: n.host})
	}
	return steps
}

// rest is what comes with the addresses. NAT is there before the interface is up, so that nothing leaves with a private address.
func rest(c Config, call attach.Call, n network) []plan.Step {
	var steps []plan.Step
	if c.l3() && c.IPMasq {
		steps = append(steps, n.Masquerade(call, c.MasqExclude))
	}
	if c.AcceptRA == refused {
		steps = append(steps, step.Deaf{IfName: call.IfName})
	}
	if c.LinkDown {
		return append(steps, step.Up{Host: n.host})
	}
	use := endpoint.Use{IfName: call.IfName, Host: n.host, DAD: c.DAD, AcceptRA: c.takesRA(), Sysctls: c.Sysctls}
	steps = append(steps, n.Steps(c.l3(), use)...)
	return append(steps, step.Announce{Host: n.host, IfName: call.IfName, Bridge: c.Bridge, Subnet: c.hostLink(), Addrs: n.Addrs()})
}

// result is what the runtime gets. The bridge's MAC is left to the kernel: the bridge may have been there before.
func result(c Config, call attach.Call, n network) *types100.Result {
	links := []*types100.Interface{
		{Name: c.Bridge},
		{Name: n.host, Mac: n.hostMAC.String()},
		{Name: call.IfName, Mac: n.MAC.String(), Sandbox: call.Netns},
	}
	if c.l3() && c.IsGateway && c.VLAN != 0 {
		links = append(links, &types100.Interface{Name: c.vlanLink()})
	}
	return n.Result(links, 2, c.DNS)
}
