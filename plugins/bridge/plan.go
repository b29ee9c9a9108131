package bridge

import (
	"net/netip"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Plan says what one container's attachment to a bridge consists of. It is pure: what it cannot know (the addresses, when no result is
// there yet) it leaves out of the values, never out of the list.
func Plan(c Config, call attach.Call) (plan.Plan, error) {
	n, err := read(c, call)
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
	steps := []plan.Step{step.Bridge{Name: c.Bridge, MAC: call.MAC("bridge"), MTU: c.MTU, Promisc: c.Promisc, VLANFiltering: c.VLANFiltering}}
	if c.l3() && c.IsGateway {
		if c.VLAN != 0 {
			steps = append(steps, step.VLANPort{Name: c.vlanLink(), Port: vlanPeer(c), Bridge: c.Bridge, VLAN: c.VLAN, MAC: call.MAC("vlan")})
		}
		steps = append(steps, step.Gateway{Link: c.hostLink(), Addrs: n.gateways(), Force: c.ForceAddress},
			step.Forwarding{IPv4: n.hasGateway(netip.Addr.Is4), IPv6: n.hasGateway(netip.Addr.Is6)})
	}
	if c.l3() && c.IPMasq || c.MACSpoofCheck {
		steps = append(steps, step.Tables{})
	}
	return steps
}

// links is what needs no addresses.
func links(c Config, call attach.Call, n network) []plan.Step {
	steps := []plan.Step{step.Veth{Owner: call.Owner, Host: n.host, IfName: call.IfName, Bridge: c.Bridge, HostMAC: n.hostMAC, MAC: n.mac,
		MTU: c.MTU, ContainerMTU: n.mtu, Hairpin: c.Hairpin, Isolated: c.Isolated}}
	if c.VLAN != 0 || len(c.Trunk) > 0 {
		steps = append(steps, step.PortVLANs{Link: n.host, Access: c.VLAN, Trunk: c.Trunk, KeepDefault: c.KeepDefaultVLAN})
	}
	if c.MACSpoofCheck {
		spoof := firewall.Spoof{Link: n.host, MAC: n.mac}
		claim := firewall.Claim{Role: firewall.Antispoof, Linked: true, Spoof: []firewall.Spoof{spoof}}
		steps = append(steps, step.Claim{Owner: call.Owner, Claim: claim, Known: true})
	}
	if c.l3() && !attach.Early(c.IPAM) { // a delegate that looks at the interface finds its other end up
		steps = append(steps, step.Up{Host: n.host})
	}
	return steps
}

// rest is what comes with the addresses. NAT is there before the interface is up, so that nothing leaves with a private address.
func rest(c Config, call attach.Call, n network) []plan.Step {
	var steps []plan.Step
	if c.l3() && c.IPMasq {
		claim := firewall.Claim{Role: firewall.Masquerade, Linked: true, Masq: n.masquerade(c.MasqExclude)}
		steps = append(steps, step.Claim{Owner: call.Owner, Claim: claim, Known: call.Result != nil})
	}
	if c.l3() {
		steps = append(steps, step.Addresses{IfName: call.IfName, Addrs: n.prefixes(), DAD: c.DAD, AcceptRA: c.AcceptRA || c.IPAM == "dhcp"})
	}
	if c.LinkDown {
		return append(steps, step.Up{Host: n.host})
	}
	steps = append(steps, step.Up{Host: n.host, IfName: call.IfName})
	if c.l3() && c.DAD {
		steps = append(steps, step.DAD{IfName: call.IfName})
	}
	if c.l3() {
		steps = append(steps, step.Routes{IfName: call.IfName, Routes: n.routes, Subnets: n.prefixes()})
	}
	return append(steps, step.Announce{Host: n.host, IfName: call.IfName, Bridge: c.Bridge, Subnet: c.hostLink(), Addrs: n.addrs()})
}

// result is what the runtime gets. The bridge's MAC is left to the kernel: the bridge may have been there before.
func result(c Config, call attach.Call, n network) *types100.Result {
	if n.previous != nil {
		return n.previous
	}
	r := &types100.Result{CNIVersion: types100.ImplementedSpecVersion, Routes: n.cniRoutes, DNS: n.dns}
	r.Interfaces = []*types100.Interface{
		{Name: c.Bridge},
		{Name: n.host, Mac: n.hostMAC.String()},
		{Name: call.IfName, Mac: n.mac.String(), Sandbox: call.Netns},
	}
	if c.l3() && c.IsGateway && c.VLAN != 0 {
		r.Interfaces = append(r.Interfaces, &types100.Interface{Name: c.vlanLink()})
	}
	for _, a := range n.addresses {
		ip := &types100.IPConfig{Interface: types100.Int(2), Address: attach.IPNet(a.prefix)}
		if a.gateway.IsValid() {
			ip.Gateway = a.gateway.AsSlice()
		}
		r.IPs = append(r.IPs, ip)
	}
	if c.DNS != nil {
		r.DNS = *c.DNS
	}
	return r
}
