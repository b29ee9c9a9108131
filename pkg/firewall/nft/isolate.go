package nft

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
)

var _ firewall.Isolator = (*Filter)(nil)

// Isolate makes the link a segment of the table inet trestle_forward.
func (f *Filter) Isolate(ctx context.Context, link string, in firewall.Ingress) (created bool, err error) {
	defer f.lock()()
	t := forward()
	if left, err := f.abandoned(t); left || err != nil {
		return false, err
	}
	if _, err := f.seeTo(ctx, t, f.memory.forward); err != nil {
		return false, err
	}
	err = f.amend(ctx, t, keep, func() ([]change, error) {
		changes, err := f.isolation(t, link, in)
		created = len(changes) > 0
		return changes, err
	})
	return created && err == nil, err
}

// isolation is what is missing to the segment. Where it is isolated from itself already, it stays so: that somebody asked for less does not open it to
// those who asked for more.
func (f *Filter) isolation(t *table, link string, in firewall.Ingress) (changes []change, err error) {
	isolated, within := elements(t, link)
	there, err := f.lookAll([]entry{isolated, within})
	if err != nil {
		return nil, err
	}
	if there[0] == nil && !f.leavesElement(isolated.set, isolated.key) {
		changes = append(changes, add(isolated.set, nftables.SetElement{Key: isolated.key}))
	}
	switch same := in == firewall.SameBridge; {
	case same && there[0] == nil && there[1] == nil && !f.leavesElement(within.set, within.key):
		changes = append(changes, add(within.set, nftables.SetElement{Key: within.key}))
	case !same && there[1] != nil:
		changes = append(changes, remove(within.set, *there[1]))
	}
	return changes, nil
}

// elements returns the two elements of a link: that it is one, and that its own traffic passes.
func elements(t *table, link string) (isolated, within entry) {
	name := fullName(link)
	return entry{set: t.set("isolated"), key: name}, entry{set: t.set("within"), key: slices.Concat(name, name)}
}

// Isolated compares what Isolate would make with what is there.
func (f *Filter) Isolated(ctx context.Context, link string, in firewall.Ingress) error {
	defer f.lock()()
	t, missing := forward(), 0
	if left, err := f.abandoned(t); left || err != nil {
		return err
	}
	err := f.steady(ctx, func() (sure bool, err error) {
		changes, err := f.isolation(t, link, in)
		missing = len(changes)
		return missing == 0, err
	})
	if err == nil && missing > 0 {
		err = fault.New(fault.Drift, "", "table %s: expected %s to be a segment, %s, found another or none", t, link, in)
	}
	return err
}

// Segments lists those of the table inet trestle_forward, if there is one.
func (f *Filter) Segments(context.Context) (links []string, err error) {
	defer f.lock()()
	if err := f.connect(); err != nil {
		return nil, explain(err)
	}
	tables, err := f.conn.Tables()
	if err != nil || !slices.ContainsFunc(tables, forward().is) {
		return nil, explain(err)
	}
	all, err := f.segments(forward())
	for _, e := range all {
		links = append(links, segmentName(e))
	}
	return links, explain(err)
}

// segments are the elements that say so.
func (f *Filter) segments(t *table) ([]nftables.SetElement, error) { return f.dump(t.set("isolated")) }

func segmentName(e nftables.SetElement) string { return string(bytes.TrimRight(e.Key, "\x00")) }

// Rejoin removes segments, and never makes the table.
func (f *Filter) Rejoin(ctx context.Context, used func(string) bool) error {
	defer f.lock()()
	t := forward()
	return f.amend(ctx, t, raze, func() (changes []change, err error) {
		there, err := f.exists(t)
		if err != nil || !there {
			return nil, err
		}
		all, err := f.segments(t)
		for _, e := range all {
			link := segmentName(e)
			if used(link) {
				continue
			}
			changes = append(changes, remove(t.set("isolated"), e))
			_, within := elements(t, link)
			found, err := f.look(within)
			if err != nil {
				return nil, err
			}
			if found != nil {
				changes = append(changes, remove(within.set, *found))
			}
		}
		return changes, err
	})
}
