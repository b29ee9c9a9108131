// Package static is the CNI address plugin static: it gives the addresses that the configuration or the runtime names, and keeps no books. It has the keys of the
// plugin of that name in containernetworking/plugins.
package static

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/grant"
	"github.com/trestle-cni/trestle/pkg/neighbour"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// Plugin returns static.
func Plugin() plugin.Plugin {
	whole := func(r *plugin.Request) error { _, err := parse(r); return err }
	return plugin.Plugin{Name: "static", Args: true, Add: add, Del: nothing, Check: check, GC: nothing, Parse: whole,
		Status: func(_ context.Context, r *plugin.Request) error { return whole(r) }}
}

func add(ctx context.Context, r *plugin.Request) error {
	c, err := parse(r)
	if err == nil && c.detect {
		err = alone(ctx, r, c.grants)
	}
	if err != nil {
		return err
	}
	return r.Print(grant.Result(c.grants, c.routes, c.dns))
}

// alone asks on the container's interface, which the plugin that called this one has made, whether somebody has an address.
func alone(ctx context.Context, r *plugin.Request, grants []grant.Grant) error {
	if kind, why := r.Sandbox(); kind != plugin.SandboxAlive {
		return why
	}
	var addrs []netip.Addr
	for _, g := range grants {
		addrs = append(addrs, g.Addr.Addr())
	}
	return neighbour.Ask(ctx, r.Namespace(), r.IfName, addrs)
}

// nothing is kept, so there is nothing to release, whatever the configuration says.
func nothing(context.Context, *plugin.Request) error { return nil }

// check compares the addresses that prevResult says the container's interface has with those of the configuration, and each one's gateway.
func check(_ context.Context, r *plugin.Request) error {
	c, err := parse(r)
	if err != nil {
		return err
	}
	prev, err := r.PrevResult()
	if err == nil && prev == nil {
		err = fault.New(fault.Config, "call it with the result of the last ADD", "prevResult: missing, CHECK of static needs it")
	}
	if err != nil {
		return err
	}
	return grant.Drift(compare(c.grants, grant.Held(prev, r.IfName)))
}

func compare(want, found []grant.Grant) error {
	var errs []error
	for _, g := range want {
		i := slices.IndexFunc(found, func(f grant.Grant) bool { return f.Addr == g.Addr })
		switch {
		case i < 0:
			errs = append(errs, fmt.Errorf("%s: configured, but prevResult has no such address", g.Addr))
		case g.Gateway.IsValid() && found[i].Gateway != g.Gateway: // without one, an interface plugin may have chosen it
			errs = append(errs, fmt.Errorf("%s: expected gateway %s, found %s", g.Addr, g.Gateway, found[i].Gateway))
		}
	}
	for _, f := range found {
		if !slices.ContainsFunc(want, func(g grant.Grant) bool { return f.Addr == g.Addr }) {
			errs = append(errs, fmt.Errorf("%s: prevResult has it, but it is not configured", f.Addr))
		}
	}
	return errors.Join(errs...)
}
