package laws

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/nftables"
)

// orders are in what order the remedies may come.
var orders = []string{"flush repair gc", "flush gc repair", "gc flush repair gc", "repair gc"}

// Living is law 11, of what our own plugins attached: of what lives nothing goes, whatever order a flush of the packet filter, REPAIR and a GC without a
// list come in. CHECK is silent, and the state is that of after the ADD. Of what the reference attached TestAdoptEverything of test/e2e shows the same.
func Living(w *World) error {
	if !w.Speaks("CHECK") {
		return nil
	}
	if err := w.prime(); err != nil {
		return err
	}
	before := w.snapshot()
	result, err := w.add(w.inProcess, w.one)
	if err != nil {
		return err
	}
	during := w.snapshot()
	for _, order := range orders {
		for _, step := range strings.Fields(order) {
			if err := w.remedy(step, result); err != nil {
				return fmt.Errorf("%s: %s: %w", order, step, err)
			}
		}
		if err := w.all(w.inProcess, call{verb: "CHECK", of: w.one, prev: result}); err != nil {
			return fmt.Errorf("%s: %w", order, err)
		}
		if err := w.same(during, order); err != nil {
			return err
		}
	}
	if err := w.del(w.inProcess, call{of: w.one, prev: result}); err != nil {
		return err
	}
	return w.same(before, "flush, repair, gc and DEL")
}

func (w *World) remedy(step string, result []byte) error {
	switch step {
	case "flush":
		conn, err := nftables.New()
		if err != nil {
			return err
		}
		conn.FlushRuleset()
		return conn.Flush()
	case "gc": // in the words of the version that has it, as the tool does
		current := func(_ int, c Config) { c["cniVersion"] = json.RawMessage(`"1.1.0"`) }
		return w.all(w.inProcess, call{verb: "GC", unlisted: true, spoil: current})
	}
	for member := range w.Plugins {
		repair := call{verb: "REPAIR", member: member, of: w.one, prev: result}
		if w.kind(repair).gives() {
			continue // it has nothing that others sweep away
		}
		if _, err := w.inProcess(repair); err != nil {
			return err
		}
	}
	return nil
}
