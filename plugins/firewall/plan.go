package firewall

import (
	"net/netip"
	"slices"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/step"
)

// segments is the lock of what bridges are to each other. No link can have so long a name.
const segments = "firewall-segments"

// Plan says what lets one container's traffic pass. The result is passed on as it came.
func Plan(c Config, call attach.Call) (plan.Plan, error) {
	addrs := addresses(call)
	pass := firewall.Claim{Role: firewall.Forward, Admin: c.Admin, Linked: call.Carried()}
	for _, p := range addrs {
		pass.Pass = append(pass.Pass, p.Addr())
	}
	alone := firewall.Claim{Role: firewall.Isolate, Linked: call.Carried()}
	if c.Ingress == firewall.Isolated {
		alone.Alone = call.HostEnds()
	}
	known := call.Result != nil
	p := plan.Plan{Result: call.Result, Lock: segments, Footing: []plan.Footing{step.Standing{IfName: call.IfName, Addrs: addrs, Hosts: call.HostEnds()}}}
	p.Ground = []plan.Step{step.Tables{}, step.Isolation{Links: onHost(call), Own: call.Owner.HostLink(), Ingress: c.Ingress}}
	p.Steps = []plan.Step{step.Claim{Owner: call.Owner, Claim: pass, Known: known}, step.Claim{Owner: call.Owner, Claim: alone, Known: known}}
	return p, nil
}

// addresses are all that the result has, whatever interface they are of, as in the reference, each once.
func addresses(call attach.Call) (list []netip.Prefix) {
	if call.Result == nil {
		return nil
	}
	for _, ip := range call.Result.IPs {
		p := attach.Prefix(ip.Address)
		if p.IsValid() && !slices.ContainsFunc(list, func(o netip.Prefix) bool { return o.Addr() == p.Addr() }) {
			list = append(list, p)
		}
	}
	return list
}

// onHost are the links of the result that are on the host.
func onHost(call attach.Call) (names []string) {
	if call.Result == nil {
		return nil
	}
	for _, link := range call.Result.Interfaces {
		if link.Sandbox == "" {
			names = append(names, link.Name)
		}
	}
	return names
}
