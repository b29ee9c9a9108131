package nft

import (
	"context"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
)

var _ firewall.Warden = (*Filter)(nil)

// Ward makes the table bridge trestle whole. That takes one request where it was seen whole and nobody has committed anything since.
func (f *Filter) Ward(ctx context.Context) error {
	defer f.lock()()
	at, err := f.seeTo(ctx, bridge(), f.memory.ward)
	f.looked = at
	return err
}

// seeTo makes a table whole, and returns the generation at which it was known to be; 0 where that had to be looked at.
func (f *Filter) seeTo(ctx context.Context, t *table, memory string) (known uint32, err error) {
	if err := f.connect(); err != nil {
		return 0, explain(err)
	}
	before, err := f.generation()
	if err != nil {
		return 0, explain(err)
	}
	if f.knownBy(memory, before) {
		return before, nil
	}
	if err := f.amend(ctx, t, mend, func() ([]change, error) { return nil, nil }); err != nil {
		return 0, err
	}
	now, err := f.generation()
	if err == nil && now == before { // so nothing had to be mended
		f.noteBy(memory, now)
	}
	return 0, explain(err)
}

// Warded compares what Ward would make with what is there.
func (f *Filter) Warded(ctx context.Context) error {
	defer f.lock()()
	var drift []string
	err := f.steady(ctx, func() (sure bool, err error) {
		drift, err = f.driftOnce(bridge())
		return len(drift) == 0, err
	})
	if err != nil {
		return err
	}
	return f.drifted(drift)
}

// guards says whether any link of the namespace relies on the table for frames.
func (f *Filter) guards() (found bool, err error) {
	conn, err := rtnl.Open()
	if err != nil {
		return false, err
	}
	defer conn.Close()
	links, err := conn.Links()
	for _, link := range links {
		found = found || link.Attrs().Group == firewall.Guarded
	}
	return found, err
}
