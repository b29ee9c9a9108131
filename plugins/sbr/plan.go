package sbr

import (
	"net/netip"
	"slices"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Plan says which addresses lead to a table. The result is passed on as it came.
func Plan(c Config, call attach.Call) (plan.Plan, error) {
	sources, err := sources(c, call)
	if err != nil {
		return plan.Plan{}, err
	}
	routing := step.Sourced{IfName: call.IfName, Sources: sources, Table: c.Table, Hints: c.Hints && c.Table == 0}
	return plan.Plan{Steps: []plan.Step{routing}, Result: call.Result,
		Footing: []plan.Footing{step.Standing{IfName: call.IfName, Hosts: call.HostEnds()}}}, nil
}

// sources are the result's addresses that are the interface's or, as far as the result says, may be.
func sources(c Config, call attach.Call) (list []step.Source, err error) {
	if call.Result == nil {
		return nil, nil
	}
	if len(call.Result.IPs) == 0 {
		return nil, fault.New(fault.Config, "chain it after a plugin that gives addresses", "prevResult: no address of %s", call.IfName)
	}
	for _, ip := range call.Result.IPs {
		p := attach.Prefix(ip.Address)
		if !p.IsValid() || elsewhere(call, ip) || slices.ContainsFunc(list, func(s step.Source) bool { return s.Addr.Addr() == p.Addr() }) {
			continue
		}
		s := step.Source{Addr: p}
		if gateway, ok := netip.AddrFromSlice(ip.Gateway); ok && !gateway.IsUnspecified() && gateway.Unmap().Is4() == p.Addr().Is4() {
			s.Gateway = gateway.Unmap()
		}
		for _, asked := range c.Gateways {
			if asked.Is4() == p.Addr().Is4() {
				s.Gateway, s.Asked = asked, true
			}
		}
		list = append(list, s)
	}
	return list, nil
}

// elsewhere says whether the result has the address on an interface of another name.
func elsewhere(call attach.Call, ip *types100.IPConfig) bool {
	all := call.Result.Interfaces
	return ip.Interface != nil && *ip.Interface >= 0 && *ip.Interface < len(all) && all[*ip.Interface].Name != call.IfName
}
