package endpoint

import (
	"cmp"
	"net"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Lone is what the plugins share whose interface is one link of the container's: what their configurations have in common, and the plan.
type Lone struct {
	MAC     net.HardwareAddr // nil: drawn, or left to the kernel
	MTU     int              // bytes; 0: the parent's, or the kernel's default
	IPAM    string           // empty: a link without addresses
	Late    bool             // the IPAM plugin is asked when the link is there
	DNS     *types.DNS
	Sysctls []step.Sysctl
}

// ReadLone reads the keys of all of them. DNS settings of an address plugin are dropped, as the reference drops them, unless kept.
func ReadLone(req *plugin.Request, keepDNS bool) Lone {
	k := req.Keys
	l := Lone{MTU: MTU(k), IPAM: IPAM(k), Late: !attach.Early(k), DNS: DNS(k), Sysctls: LinkSysctls(k, req.IfName)}
	if l.DNS == nil && !keepDNS {
		l.DNS = &types.DNS{}
	}
	return l
}

// LinkMAC takes the Ethernet address from the runtime, from CNI_ARGS, or from the configuration, in this order.
func LinkMAC(req *plugin.Request) net.HardwareAddr {
	own := req.Keys.MAC("mac")
	if mac := MAC(req); mac != nil {
		return mac
	}
	return own
}

// Parent reads the link that the container's hangs on.
func Parent(k *keys.Object) step.Parent {
	p := step.Parent{Name: k.String("master", ""), Inside: k.Bool("linkInContainer", false)}
	if p.Name != "" && !plugin.ValidLinkName(p.Name) {
		k.Reject("master", p.Name, "must be the name of a link: "+plugin.LinkNameRule)
	}
	return p
}

// Hold is how a plugin makes the link that all else hangs on.
type Hold struct {
	Kernel bool                                  // the Ethernet address is the kernel's to choose, or the device's
	Make   func(net.HardwareAddr, int) plan.Step // of that address, nil where it is not known, and that MTU
	None   bool                                  // there is no link: no step is made, and the result names the interface alone
	Brings *step.Network                         // what the link has beside what the address plugin gives; nil: nothing, and the kinds of steps are as without
	Silent bool                                  // nobody else's word is asked for on the link: it does without neighbour discovery
	Beside func(*Endpoint) []plan.Step           // what comes with the addresses on the host; nil: nothing
}

// Link makes a link of the form on the parent, where the form hangs on one.
func Link(call attach.Call, form step.Form, parent step.Parent) func(net.HardwareAddr, int) plan.Step {
	return func(mac net.HardwareAddr, mtu int) plan.Step {
		return step.Lone{Owner: call.Owner, IfName: call.IfName, Form: form, Parent: parent, MAC: mac, MTU: mtu}
	}
}

// Plan is the link, up for an address plugin that looks at it, and what follows from its addresses: they are announced to the parent's wire, where others
// may have them, and routers heard there.
func (l Lone) Plan(call attach.Call, hold Hold) (plan.Plan, error) {
	e, err := Read(call, Options{IPAM: l.IPAM, MAC: l.MAC, Plain: hold.Kernel, Bare: hold.Brings != nil, Direct: hold.Silent})
	if err != nil {
		return plan.Plan{}, err
	}
	if hold.Brings != nil {
		e.bring(*hold.Brings)
	}
	result := e.Result([]*types100.Interface{{Name: call.IfName, Mac: e.MAC.String(), Sandbox: call.Netns}}, 0, l.DNS)
	if hold.None {
		return plan.Plan{Result: result}, nil
	}
	p := plan.Plan{Result: result, Steps: []plan.Step{hold.Make(e.MAC, cmp.Or(e.MTU, l.MTU))}}
	l3 := l.IPAM != "" || hold.Brings != nil
	if l.IPAM != "" && l.Late {
		p.Steps = append(p.Steps, step.Up{IfName: call.IfName})
	}
	p.Mark = len(p.Steps)
	p.Steps = append(p.Steps, e.Steps(l3, Use{IfName: call.IfName, DAD: !hold.Silent, AcceptRA: true, Sysctls: l.Sysctls})...)
	if hold.Beside != nil {
		p.Steps = append(p.Steps, hold.Beside(&e)...)
	}
	return p, nil
}

// bring adds what the link has itself. An earlier result has it already.
func (e *Endpoint) bring(n step.Network) {
	if e.Previous != nil {
		return
	}
	for _, p := range n.Addrs {
		e.Addresses = append(e.Addresses, Address{Prefix: p})
	}
	e.cniRoutes = slices.Clone(e.cniRoutes)
	for _, r := range n.Routes {
		e.Routes = append(e.Routes, r)
		if metric, table := int(r.Priority), int(r.Table); metric >= 0 && table >= 0 { // on a processor of 32 bits a result has no room for larger ones
			told := &types.Route{Dst: attach.IPNet(r.Dst), GW: r.Via.AsSlice(), Priority: metric, Table: &table, MTU: r.MTU, AdvMSS: r.AdvMSS}
			if r.Scope != 0 {
				told.Scope = &r.Scope
			}
			e.cniRoutes = append(e.cniRoutes, told)
		}
	}
}
