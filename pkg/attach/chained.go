package attach

import (
	"context"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// Who links no packet filter and makes the interface asks those who were chained after it, and have something there still, for their part: they may have left the list, and
// whoever gets the address next would have what they made. Those that are in the list have been asked before, and have nothing any more.

// unseen says whether the plugin that makes the interface may not see what this one makes.
func (v *verb) unseen() bool { return v.place == After && v.filters }

// chain writes down that this plugin has something, where no link of the host's carries it: what makes such a link looks for all itself.
func (v *verb) chain() (created bool, err error) {
	if !v.unseen() || v.call.Carried() {
		return false, nil
	}
	return v.site.Chain(v.req.Plugin, v.call.Owner)
}

// delChained is the DEL of what others have of the attachment. Each locks the owner for itself.
func (v *verb) delChained(ctx context.Context) error {
	if v.place != First || v.filters {
		return nil
	}
	var errs []error
	for _, kind := range v.site.Chained(v.call.Owner) {
		v.req.Logf("has %s remove its part, which was chained after it", kind)
		_, err := v.req.Invoke(ctx, kind, "DEL", v.req.Config)
		errs = append(errs, err)
	}
	return fault.Join(errs...)
}

// collectChained is their GC, where they have something of anybody's who is not valid.
func (v *verb) collectChained(ctx context.Context, valid plugin.Valid) error {
	if v.place != First || v.filters {
		return nil
	}
	var errs []error
	for _, kind := range v.site.ChainedOn(v.call.Owner.ID.Network, valid.Keeps) {
		errs = append(errs, v.req.InvokeGC(ctx, kind, valid))
	}
	return fault.Join(errs...)
}
