package portmap

import (
	"net/netip"
	"slices"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Plan says what one container's published ports consist of. The result is passed on as it came.
func Plan(c Config, call attach.Call) (plan.Plan, error) {
	claim := firewall.Claim{Role: firewall.Publish, Linked: call.Carried()}
	for _, target := range targets(call) {
		ports, hidden := c.ports(target)
		claim.Hidden = append(claim.Hidden, without(hidden, claim.Hidden)...)
		if len(ports) == 0 && len(c.Mappings) > 0 {
			claim.Bare = append(claim.Bare, firewall.Bare{Addr: target.Addr(), SNAT: c.SNAT})
		}
		claim.Ports = append(claim.Ports, ports...)
	}
	p := plan.Plan{Result: call.Result, Footing: []plan.Footing{
		step.Standing{IfName: call.IfName, Addrs: targets(call), Hosts: call.HostEnds()}}}
	if c.SNAT != firewall.SNATNone {
		p.Ground = append(p.Ground, step.Localhost{Owner: call.Owner, Targets: published(claim.Ports, true)},
			step.Localhost6{Owner: call.Owner, Targets: published(claim.Ports, false), Asked: slices.ContainsFunc(claim.Ports, onLoopback6)})
	}
	p.Ground = append(p.Ground, step.Tables{})
	p.Steps = []plan.Step{step.Claim{Owner: call.Owner, Claim: claim, Known: call.Result != nil}}
	return p, nil
}

// ports returns the mappings that lead to the target, and tells of those that do not.
func (c Config) ports(target netip.Prefix) (ports []firewall.Port, hidden []string) {
	conditions := c.Conditions6
	if target.Addr().Is4() {
		conditions = c.Conditions4
	}
	list, hidden := c.leading(target.Addr().Is4())
	for _, m := range list {
		p := firewall.Port{Protocol: m.Protocol, HostIP: m.HostIP, HostPort: m.HostPort,
			Target: netip.AddrPortFrom(target.Addr(), m.ContainerPort), Subnet: target.Masked(), SNAT: c.SNAT}
		ports = append(ports, under(p, conditions)...)
	}
	return ports, hidden
}

// without returns the texts that are not among the others: most are told of both families.
func without(texts, others []string) []string {
	return slices.DeleteFunc(texts, func(text string) bool { return slices.Contains(others, text) })
}

// targets returns the container's first IPv4 and first IPv6 address. One without an interface, or with one that the result does not have,
// counts as the container's, as in the reference.
func targets(call attach.Call) []netip.Prefix {
	if call.Result == nil {
		return nil
	}
	var v4, v6 []netip.Prefix
	for _, ip := range call.Result.IPs {
		if !inContainer(call, ip.Interface) {
			continue
		}
		p := attach.Prefix(ip.Address)
		switch {
		case !p.IsValid():
		case p.Addr().Is4():
			v4 = append(v4, p)
		default:
			v6 = append(v6, p)
		}
	}
	return append(v4[:min(1, len(v4))], v6[:min(1, len(v6))]...)
}

func inContainer(call attach.Call, index *int) bool {
	links := call.Result.Interfaces
	if index == nil || *index < 0 || *index >= len(links) {
		return true
	}
	return links[*index].Name == call.IfName && links[*index].Sandbox != ""
}

// published returns the container's addresses of the family that have a port published.
func published(ports []firewall.Port, is4 bool) []netip.Addr {
	for _, p := range ports {
		if p.Target.Addr().Is4() == is4 {
			return []netip.Addr{p.Target.Addr()} // there is one at the most
		}
	}
	return nil
}

func onLoopback6(p firewall.Port) bool { return p.HostIP == netip.IPv6Loopback() }
