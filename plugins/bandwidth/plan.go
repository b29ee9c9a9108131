package bandwidth

import (
	"net"
	"slices"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Plan says by which queues a container's traffic goes. It is pure.
func Plan(c Config, call attach.Call) (plan.Plan, error) {
	shape := step.Shape{Owner: call.Owner, IfName: call.IfName, Hosts: hosts(call), Latency: c.Latency, Unshaped: c.Unshaped, Only: c.Only,
		Inside: c.Inside}
	in, out := shape, shape
	in.Rate, in.Burst = c.Ingress.Rate, c.Ingress.Burst
	out.Rate, out.Burst = c.Egress.Rate, c.Egress.Burst
	if c.Inside { // the interface sends what comes from the container
		in, out = out, in
	}
	p := plan.Plan{
		Footing: []plan.Footing{step.Standing{IfName: call.IfName, Hosts: call.HostEnds()}},
		Result:  call.Result,
	}
	mirror := step.Mirrored{Shape: out}
	if names := step.MirrorNames(call.Owner); c.Inside && len(names) > 0 {
		mirror.Name, mirror.MAC = names[1], step.MirrorMAC(names[1]) // nobody outside of the container sees it: the result says nothing of it
	} else if out.Rate != 0 && call.Result != nil {
		mirror.Name, mirror.MAC, p.Result = mirrorOf(call)
	}
	p.Steps = []plan.Step{step.Shaped{Shape: in}, mirror}
	return p, nil
}

// mirrorOf is the link by which what the container sends is slowed down, and the result with it: as an earlier ADD named it or, where another interface of the
// container has the reference's name, by one of its own.
func mirrorOf(call attach.Call) (name string, mac net.HardwareAddr, result *types100.Result) {
	names := step.MirrorNames(call.Owner)
	for _, link := range call.Result.Interfaces {
		if link.Sandbox == "" && slices.Contains(names, link.Name) {
			mac, _ = net.ParseMAC(link.Mac) // it is there, whatever it has
			return link.Name, mac, call.Result
		}
	}
	name = names[0]
	if call.Taken != nil && call.Taken(name) {
		name = names[1]
	}
	mac = step.MirrorMAC(name)
	r := *call.Result
	r.Interfaces = append(slices.Clone(r.Interfaces), &types100.Interface{Name: name, Mac: mac.String()})
	return name, mac, &r
}

// hosts are the host's links that those before this plugin made.
func hosts(call attach.Call) (names []string) {
	if call.Result == nil {
		return nil
	}
	mirrors := step.MirrorNames(call.Owner)
	for _, link := range call.Result.Interfaces {
		if link.Sandbox == "" && !slices.Contains(mirrors, link.Name) {
			names = append(names, link.Name)
		}
	}
	return names
}
