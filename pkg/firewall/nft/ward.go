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
	if err := f.connect(); err != nil {
		return explain(err)
	}
	before, err := f.generation()
	if err != nil {
		return explain(err)
	}
	if f.knownBy(f.memory.ward, before) {
		f.looked = before
		return nil
	}
	if err := f.amend(ctx, bridge(), mend, func() ([]change, error) { return nil, nil }); err != nil {
		return err
	}
	now, err := f.generation()
	if err == nil && now == before { // so nothing had to be mended
		f.noteBy(f.memory.ward, now)
	}
	return explain(err)
}

// Warded compares what Ward would make with what is there.
func (f *Filter) Warded(ctx context.Context) error {
	defer f.lock()()
	var drift []string
	err := f.steady(ctx, func() (sure bool, err error) {
		drift, err = f.drift(bridge())
		return len(drift) == 0, err
	})
	if err != nil {
		return err
	}
	return f.drifted(drift)
}

// guards says whether any link of the namespace relies on the table for frames.
func (f *Filter) guards() (found bool, err error) {
	err = f.within(func() error {
		conn, err := rtnl.Open()
		if err != nil {
			return err
		}
		defer conn.Close()
		links, err := conn.Links()
		for _, link := range links {
			found = found || link.Attrs().Group == firewall.Guarded
		}
		return err
	})
	return found, err
}
