package endpoint

import (
	"net/netip"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Use is how the container uses its end.
type Use struct {
	IfName   string
	Host     string       // the host's end of the pair, which comes up last; empty: there is none
	DAD      bool         // IPv6 addresses are used only after duplicate address detection
	AcceptRA bool         // router advertisements are left as they are
	Alone    bool         // nobody of the subnet is on the link: the kernel makes no route to the subnet
	Before   []step.Route // routes that those of the result rely on
	Sysctls  []step.Sysctl
}

// Steps are the addresses, the links up and the routes: what follows once there is a link, whatever kind it is of. Without an IPAM plugin
// there are no addresses, and the links come up.
func (e *Endpoint) Steps(l3 bool, u Use) []plan.Step {
	up := step.Up{Host: u.Host, IfName: u.IfName}
	if !l3 {
		return append(u.settings(), up)
	}
	steps := []plan.Step{step.Addresses{IfName: u.IfName, Addrs: e.Prefixes(), DAD: u.DAD, AcceptRA: u.AcceptRA, Alone: u.Alone}}
	steps = append(append(steps, u.settings()...), up)
	if u.DAD {
		steps = append(steps, step.DAD{IfName: u.IfName, Addrs: e.Prefixes()})
	}
	routes := step.Routes{IfName: u.IfName, Routes: append(u.Before, e.Routes...)}
	if !u.Alone {
		routes.Subnets = e.Prefixes()
	}
	return append(steps, routes)
}

// settings are those that were asked for. They come after what the addresses want set, and before the link is up.
func (u Use) settings() []plan.Step {
	if len(u.Sysctls) == 0 {
		return nil
	}
	return []plan.Step{step.Sysctls{IfName: u.IfName, Sysctls: u.Sysctls}}
}

// Result is what the runtime gets: the links given, of which number in is the container's, and what was read; dns, where there is one, is the network's
// own. An earlier result of the plugin's own is passed on as it is.
func (e *Endpoint) Result(links []*types100.Interface, in int, dns *types.DNS) *types100.Result {
	if e.Previous != nil {
		return e.Previous
	}
	r := &types100.Result{CNIVersion: types100.ImplementedSpecVersion, Interfaces: links, Routes: e.cniRoutes, DNS: e.dns}
	for _, a := range e.Addresses {
		ip := &types100.IPConfig{Interface: types100.Int(in), Address: attach.IPNet(a.Prefix)}
		if a.Gateway.IsValid() {
			ip.Gateway = a.Gateway.AsSlice()
		}
		r.IPs = append(r.IPs, ip)
	}
	if dns != nil {
		r.DNS = *dns
	}
	return r
}

// Masquerade is the step by which what the container sends leaves with the host's address, except to some destinations.
func (e *Endpoint) Masquerade(call attach.Call, except []netip.Prefix) step.Claim {
	claim := firewall.Claim{Role: firewall.Masquerade, Linked: e.Carried, Masq: e.masquerade(except)}
	return step.Claim{Owner: call.Owner, Claim: claim, Known: call.Result != nil}
}

func (e *Endpoint) masquerade(except []netip.Prefix) []firewall.Masq {
	var list []firewall.Masq
	for _, a := range e.Addresses {
		m := firewall.Masq{Addr: a.Prefix.Addr(), Subnet: a.Prefix.Masked()}
		for _, p := range except {
			if p.Addr().Is4() == m.Addr.Is4() {
				m.Except = append(m.Except, p)
			}
		}
		list = append(list, m)
	}
	return list
}
