package attach

import (
	"context"
	"slices"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/lent"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/step"
)

// What an attachment has may be out of sight of the plugin whose DEL it is: that of one chained after it which has left the list since, where that one makes a packet filter's
// rules and this one links none; and all of it, where the network's plugin that makes the interface is another by now. Whoever gets the address next would have the rules. So
// the others are asked for their part, before an address is given back: those of which something is to be seen and, where nothing is, one that makes rules.

const hostDevice = "host-device"

// pairMaker is a plugin that makes a pair, and that knows all that the packet filter has of an owner, whoever made it. ptp has no bridge of its own to take away.
func (v *verb) pairMaker() (kind string, there bool) {
	for _, kind := range []string{"ptp", "bridge"} {
		if v.req.Has(kind) {
			return kind, true
		}
	}
	return "ptp", false
}

// other is another plugin; known says that it has something, else it may have.
type other struct {
	kind  string
	known bool
}

// chained are those of the plugins that have something out of this one's sight. In the place of one that is not to be found any more stands who knows all.
func (v *verb) chained(kinds []string) (list []other) {
	for _, kind := range kinds {
		if all, there := v.pairMaker(); there && !v.req.Has(kind) {
			kind = all
		}
		if !v.filters {
			list = append(list, other{kind, true})
		}
	}
	return slices.Compact(list)
}

// others are the plugins that may have something of the attachment. It is asked before anything is undone.
func (v *verb) others() (list []other, err error) {
	if v.place != First {
		return nil, nil
	}
	list = v.chained(v.site.Chained(v.call.Owner))
	device := lent.Noted(v.call.Owner.ID)
	if device && v.req.Plugin != hostDevice {
		list = append(list, other{hostDevice, true})
	}
	if v.filters {
		return list, nil
	}
	pair, unseen, err := step.Joined(v.site, v.call.Owner, v.call.IfName)
	if kind, there := v.pairMaker(); pair || unseen && !device && there {
		list = append(list, other{kind, pair})
	}
	return list, err
}

// undoOthers has them undo their part. Who has the lock is this one.
func (v *verb) undoOthers(ctx context.Context, list []other) error {
	if len(list) == 0 {
		return nil
	}
	var errs []error
	for _, o := range list {
		v.req.Logf("has %s remove its part", o.kind)
		_, err := v.req.Invoke(ctx, o.kind, plugin.Part, v.req.Config)
		errs = append(errs, o.failed(err))
	}
	v.site.Forget()
	return fault.Join(errs...)
}

// failed is what is wrong where it matters: another suite's plugin, which refuses such a call, has nothing of ours.
func (o other) failed(err error) error {
	if !o.known && fault.Code(err) == fault.Environment {
		return nil
	}
	return err
}

// collectOthers has them collect their part of everybody's who is not valid.
func (v *verb) collectOthers(ctx context.Context, valid plugin.Valid) error {
	if v.place != First {
		return nil
	}
	list := v.chained(v.site.ChainedOn(v.call.Owner.ID.Network, valid.Keeps))
	if lent.Any() && v.req.Plugin != hostDevice && v.req.Has(hostDevice) {
		list = append(list, other{hostDevice, false})
	}
	if kind, there := v.pairMaker(); there && !v.filters {
		list = append(list, other{kind, false})
	}
	var errs []error
	for _, o := range list {
		errs = append(errs, o.failed(v.req.InvokeGC(ctx, o.kind, plugin.CollectPart, valid)))
	}
	return fault.Join(errs...)
}

// undoPart is this plugin's part of a DEL that another carries out.
func (e engine) undoPart(ctx context.Context, req *plugin.Request) error {
	v, _, _, err := e.enterLoosely(req)
	if err != nil {
		return err
	}
	defer v.site.Close()
	p, prev, err := v.planLoosely()
	if err != nil {
		return err
	}
	return v.undo(ctx, p, v.call.Owner, prev)
}

// collectPart is this plugin's part of a GC that another carries out.
func (e engine) collectPart(ctx context.Context, req *plugin.Request) error {
	v, valid, err := e.beginCollecting(req)
	if err != nil {
		return err
	}
	defer v.site.Close()
	_, err = v.collect(ctx, valid)
	return err
}

// unseen says whether the plugin that makes the interface may not see what this one makes.
func (v *verb) unseen() bool { return v.place == After && v.filters }

// chain writes down that this plugin has something, where no link of the host's carries it: what makes such a link looks for all itself.
func (v *verb) chain() (created bool, err error) {
	if !v.unseen() || v.call.Carried() {
		return false, nil
	}
	return v.site.Chain(v.req.Plugin, v.call.Owner)
}
