package laws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/step"
)

// Kinds is law 7: the kinds of steps of a plan are the same list whether a result is known or not, and so are what they are besides.
func Kinds(w *World) error {
	return w.plans(func(name string, without, with, again plan.Plan) error {
		for _, other := range []plan.Plan{with, again} {
			if diff := cmp.Diff(kinds(without), kinds(other)); diff != "" {
				return fmt.Errorf("%s: steps without (-) and with (+) a result:\n%s", name, diff)
			}
		}
		return nil
	})
}

// FixedPoint is law 9: the plan for the result that a plan returned is that plan again. So a CHECK looks at what the ADD made.
func FixedPoint(w *World) error {
	if !w.Speaks("CHECK") {
		return nil
	}
	return w.plans(func(name string, _, with, again plan.Plan) error {
		if diff := cmp.Diff(with, again, comparison()); diff != "" {
			return fmt.Errorf("%s: plan of the ADD (-) and for its result (+):\n%s", name, diff)
		}
		return nil
	})
}

// comparison compares plans by their values. A MAC that new ground would get is drawn anew for each call.
func comparison() cmp.Option {
	return cmp.Options{
		cmpopts.EquateEmpty(),
		cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}, netip.AddrPort{}),
		cmpopts.IgnoreFields(step.Bridge{}, "MAC"),
		cmpopts.IgnoreFields(step.VLANPort{}, "MAC"),
	}
}

func kinds(p plan.Plan) (list []string) {
	for _, s := range p.Ground {
		list = append(list, "ground "+kind(s))
	}
	for i, s := range p.Steps {
		if i == p.Mark {
			list = append(list, "mark")
		}
		list = append(list, kind(s))
	}
	return list
}

func kind(s plan.Step) string {
	name := reflect.TypeOf(s).String()
	if w, ok := s.(Wrapped); ok {
		name = reflect.TypeOf(w.Step).String()
	}
	if c, ok := plan.As[step.Claim](s); ok {
		name += " " + string(c.Role)
	}
	return name
}

// plans gives look, for each plugin of the chain, the plan without a result, the one for an ADD, and the one for the ADD's result.
func (w *World) plans(look func(name string, without, with, again plan.Plan) error) error {
	var result *types100.Result
	w = w.flat()
	for member := range w.Plugins {
		c := call{verb: "ADD", member: member, of: container(0)}
		if w.kind(c).Plan == nil {
			continue
		}
		req, err := w.request(c)
		if err != nil {
			return err
		}
		if w.kind(c).Asks(req) {
			result = reserved()
		}
		without, err1 := w.plan(c, req, nil, 1)
		with, err2 := w.plan(c, req, result, 2)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if result, err = printed(req, with.Result); err != nil {
			return err
		}
		again, err := w.plan(c, req, result, 3)
		if err != nil {
			return err
		}
		with.Result, err = printed(req, with.Result)
		if err != nil {
			return err
		}
		if err := look(w.kind(c).Name, without, with, again); err != nil {
			return err
		}
	}
	return nil
}

func (w *World) plan(c call, req *plugin.Request, result *types100.Result, seed byte) (plan.Plan, error) {
	p, err := w.kind(c).Plan(req, result, seed)
	return then(w.Plant, nil)(p), err
}

// planned returns the call's plan without a result, an empty one where the plugin makes none. Where law 7 is kept, its steps are those of any plan for the
// configuration.
func (w *World) planned(c call) (plan.Plan, error) {
	if w.kind(c).Plan == nil {
		return plan.Plan{}, nil
	}
	req, err := w.request(c)
	if err != nil {
		return plan.Plan{}, err
	}
	return w.kind(c).Plan(req, nil, 0)
}

// request returns the call as the shell reads it.
func (w *World) request(c call) (req *plugin.Request, err error) {
	keep := plugin.Plugin{Name: w.kind(c).Name, Add: func(_ context.Context, r *plugin.Request) error {
		req = r
		return nil
	}}
	_, err = w.run(c, plugin.Bundle{keep.Name: keep})
	return req, err
}

// printed is the result as the runtime gets it and gives it back.
func printed(req *plugin.Request, result *types100.Result) (*types100.Result, error) {
	var out bytes.Buffer
	req.Streams.Out = &out
	if err := req.Print(result); err != nil {
		return nil, err
	}
	return parseResult(out.Bytes(), req.Version)
}

func parseResult(raw []byte, version string) (*types100.Result, error) {
	return plugin.ParseResult(raw, version)
}

// reserved is an IPAM plugin's result with a bit of everything.
func reserved() *types100.Result {
	prefix := func(text string) net.IPNet {
		p := netip.MustParsePrefix(text)
		return net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
	}
	table := 100
	return &types100.Result{
		CNIVersion: types100.ImplementedSpecVersion,
		IPs: []*types100.IPConfig{
			{Address: prefix("10.7.0.5/24"), Gateway: net.ParseIP("10.7.0.1")},
			{Address: prefix("10.6.0.5/24")},
			{Address: prefix("fd00:7::5/64"), Gateway: net.ParseIP("fd00:7::1")},
		},
		Routes: []*types.Route{
			{Dst: prefix("0.0.0.0/0")},
			{Dst: prefix("10.9.0.0/16"), GW: net.ParseIP("10.7.0.9"), MTU: 1400, AdvMSS: 1360, Priority: 7},
			{Dst: prefix("fd00:9::/64"), Table: &table},
		},
		DNS: types.DNS{Nameservers: []string{"10.7.0.53"}, Search: slices.Clone([]string{"example.org"})},
	}
}
