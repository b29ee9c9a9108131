package attach

import (
	"context"
	"fmt"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// check is: plan from prevResult, ask the IPAM plugin, verify all. Every drift is listed.
func (e engine) check(ctx context.Context, req *plugin.Request) error {
	v, err := e.enter(req)
	if err != nil {
		return err
	}
	defer v.site.Close()
	v.site.Leave(firewall.LeftIn(ctx))
	p, err := v.planAgain()
	if err != nil {
		return err
	}
	err = p.Verify(ctx, v.site)
	if v.config.ipam != "" {
		_, reserved := v.req.Delegate(ctx, v.config.ipam, "CHECK")
		err = fault.Join(err, reserved)
	}
	return err
}

// repair makes anew what others may sweep away of an attachment that lives, and then reports every drift that is left.
func (e engine) repair(ctx context.Context, req *plugin.Request) error {
	v, leave, err := e.enterAlone(ctx, req)
	if err != nil {
		return err
	}
	defer leave()
	if v.site.Departed(v.call.Owner) {
		return fault.New(fault.Namespace, "", "attachment: a DEL of it has begun, nothing was made")
	}
	v.site.Leave(firewall.LeftIn(ctx))
	v.site.First = req.Environ[plugin.Again] == ""
	p, err := v.planAgain()
	if err != nil {
		return err
	}
	return p.Repair(ctx, v.site)
}

// planAgain is the plan of what prevResult says was made.
func (v *verb) planAgain() (plan.Plan, error) {
	prev, err := v.prevResult()
	if err != nil {
		return plan.Plan{}, err
	}
	return v.plan(v.withPair(prev))
}

// withPair returns the result with the container's pair, where it tells of no links at all, as those before 0.3.0 do: what the reference
// made has a name that cannot be known otherwise.
func (v *verb) withPair(result *types100.Result) *types100.Result {
	if result == nil || len(result.Interfaces) > 0 || v.site.Container == nil {
		return result
	}
	in, err := v.site.Container.LinkByName(v.req.IfName)
	if err != nil || !rtnl.Paired(in) {
		return result // what is missing is said by who looks for it
	}
	host, err := v.site.Host.LinkByIndex(in.Attrs().ParentIndex)
	if err != nil || !rtnl.Paired(host) {
		return result
	}
	named := *result
	named.Interfaces = []*types100.Interface{{Name: host.Attrs().Name}, {Name: v.req.IfName, Sandbox: v.req.Netns}}
	return &named
}

// status says whether an ADD can succeed now.
func (e engine) status(ctx context.Context, req *plugin.Request) error {
	config, err := e.parse(req)
	if err != nil {
		return notReady(err)
	}
	v, err := e.begin(req, config, "")
	if err != nil {
		return notReady(err)
	}
	defer v.site.Close()
	p, err := v.plan(nil)
	if err == nil {
		err = p.Ready(ctx, v.site)
	}
	if err == nil {
		err = v.site.Ready()
	}
	if err != nil {
		return notReady(err)
	}
	if v.config.ipam != "" {
		_, err = v.req.Delegate(ctx, v.config.ipam, "STATUS")
	}
	return err
}

// notReady gives an error the code that the specification has for STATUS; the remedy stays.
func notReady(err error) error {
	return &fault.Error{Code: fault.NoService, Hint: fault.Hint(err), Err: fmt.Errorf("not ready: %w", err)}
}
