package laws

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/lent"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// makers are the plugins that make an interface.
var makers = []string{"bridge", "dummy", "host-device", "ipvlan", "macvlan", "ptp", "tap", "vlan"}

// Makers is law 13 where the network's plugin that makes the interface is another one since the ADD, and the list has lost all others: a DEL by it, with whatever a runtime
// knows still, and a GC leave nothing on the host, and a GC to which the attachment is valid leaves it as it is.
func Makers(w *World) error {
	for at, kind := range makers {
		if kind == w.flat().Plugins[0].Type() {
			continue
		}
		cases := w.exchanged(w.madeBy(kind))
		for i, name := range slices.Sorted(maps.Keys(cases)) {
			if first := (w.Turn + at) % len(cases); !w.Long && i != first && i != (first+3)%len(cases) {
				continue
			}
			if err := w.exchange(name, cases[name]); err != nil {
				return fmt.Errorf("%s in its place: %w", kind, err)
			}
		}
	}
	return nil
}

// madeBy is the network with another plugin in the place of the one that makes the interface, and with no other.
func (w *World) madeBy(kind string) *World {
	maker := maps.Clone(w.flat().Plugins[0])
	maker["type"] = []byte(strconv.Quote(kind))
	changed := *w
	changed.Plugins = []Config{maker}
	if w.lists() {
		list, _ := json.Marshal(changed.Plugins) // of valid JSON cannot fail
		changed.Plugins = []Config{maps.Clone(w.Plugins[0])}
		changed.Plugins[0]["plugins"] = list
	}
	return &changed
}

// exchanged are the ways in which the changed network ends the attachment.
func (w *World) exchanged(changed *World) map[string]func(result []byte) error {
	run := func(c call) error {
		_, err := changed.inProcess(c)
		return err
	}
	cases := map[string]func(result []byte) error{
		"DEL":                       func(result []byte) error { return run(call{verb: "DEL", of: w.one, prev: result}) },
		"DEL without a prevResult":  func([]byte) error { return run(call{verb: "DEL", of: w.one}) },
		"DEL without a namespace":   func([]byte) error { return run(call{verb: "DEL", of: w.one, bare: true}) },
		"DEL after the namespace":   func([]byte) error { return errors.Join(w.cut(), run(call{verb: "DEL", of: w.one, bare: true})) },
		"DEL of nothing but names":  func([]byte) error { return run(call{verb: "DEL", of: w.one, spoil: w.others()[bare]}) },
		"GC":                        func([]byte) error { return run(call{verb: "GC", valid: []attachment{}}) },
		"GC of nothing but names":   func([]byte) error { return run(call{verb: "GC", valid: []attachment{}, spoil: w.others()[bare]}) },
		"GC to which all are valid": func(result []byte) error { return w.spared(run, result) },
	}
	maps.DeleteFunc(cases, func(name string, _ func([]byte) error) bool {
		verb, _, _ := strings.Cut(name, " ")
		return !w.Speaks(verb)
	})
	return cases
}

// cut removes the pair, as the end of the namespace does, if there is one.
func (w *World) cut() error {
	link, err := netlink.LinkByName(owner.Of(w.Network, w.one.ID, ifName).HostLink())
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(link)
	}
	return err
}

// spared has the GC leave the attachment as it is, and then deletes it.
func (w *World) spared(run func(call) error, result []byte) error {
	before := w.snapshot()
	if err := run(call{verb: "GC", valid: []attachment{{w.one.ID, ifName}}}); err != nil {
		return err
	}
	return errors.Join(w.same(before, "it"), w.del(w.inProcess, call{of: w.one, prev: result}))
}

// exchange adds, ends the attachment, and compares the host. What is in the container without a namespace is not to be reached: the runtime's part is to end that.
func (w *World) exchange(name string, end func(result []byte) error) error {
	if err := w.prime(); err != nil {
		return err
	}
	before := snapshot.Take(w)
	result, err := w.add(w.inProcess, w.one)
	if err != nil {
		return err
	}
	if err := errors.Join(end(result), w.vacate(nil), w.prime()); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := sameShape(before, snapshot.Take(w), name); err != nil {
		return err
	}
	if left, err := os.ReadDir(lent.Dir); err == nil && len(left) > 0 {
		return fmt.Errorf("%s: %s is left in %s", name, left[0].Name(), lent.Dir)
	}
	return nil
}
