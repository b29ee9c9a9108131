package laws

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/test/snapshot"
)

// Other is law 13: what an ADD with one configuration made, a DEL, and a GC to which the attachment is not valid, undo with any other valid configuration
// of the same network, or one that has lost nearly everything. And the DEL by a list that has lost all plugins but the one that makes the interface, or a GC
// by that, leaves nothing on the host.
func Other(w *World) error {
	if err := w.undoneByFirst(); err != nil {
		return fmt.Errorf("ADD, then by the first plugin alone: %w", err)
	}
	others := w.others()
	for i, name := range slices.Sorted(maps.Keys(others)) {
		if !w.sampled(i) {
			continue
		}
		change := others[name]
		own, other := call{of: w.one}, call{of: w.one, spoil: change}
		if err := w.undoneBy(own, other); err != nil {
			return fmt.Errorf("ADD, then with %s: %w", name, err)
		}
		if name == stripped || name == bare {
			continue // no ADD takes it
		}
		if err := w.undoneBy(other, own); err != nil {
			return fmt.Errorf("ADD with %s, then without: %w", name, err)
		}
	}
	return nil
}

// The configurations that no ADD takes.
const (
	stripped = "nothing but names"
	bare     = "nothing but the type"
)

// others are the other configurations.
func (w *World) others() map[string]func(int, Config) {
	keep := func(config Config, keys ...string) {
		maps.DeleteFunc(config, func(key string, _ json.RawMessage) bool {
			for _, k := range append(keys, "name", "cniVersion", "type", "prevResult", "cni.dev/valid-attachments") {
				if k == key {
					return false
				}
			}
			return true
		})
	}
	return map[string]func(int, Config){
		bare: func(_ int, config Config) { keep(config) },
		stripped: func(_ int, config Config) {
			keep(config, "ipam")
			if ipam := decodeOrNone(config["ipam"]); ipam != nil {
				keep(ipam)
				config["ipam"], _ = json.Marshal(ipam)
			}
		},
		"the rules turned over": func(_ int, config Config) { config.each(turnOver) },
		"the other backend":     func(_ int, config Config) { config.each(otherBackend) },
		"another bridge and other settings": func(_ int, config Config) {
			config.each(func(c Config) {
				if c.Type() == "bridge" {
					c.become(`"bridge":"laws9"`)
				}
			})
		},
	}
}

// each changes the configuration and, where it has a list of others, these.
func (c Config) each(change func(Config)) {
	change(c)
	var list []Config
	if json.Unmarshal(c["plugins"], &list) != nil || list == nil {
		return
	}
	for _, inner := range list {
		change(inner)
	}
	c["plugins"], _ = json.Marshal(list)
}

// become gives the configuration these members.
func (c Config) become(members string) {
	var add Config
	if err := json.Unmarshal([]byte("{"+members+"}"), &add); err != nil {
		panic(err)
	}
	maps.Copy(c, add)
}

func decodeOrNone(raw json.RawMessage) (c Config) {
	_ = json.Unmarshal(raw, &c) // what is no object is none
	return c
}

// turnOver turns on what of the packet filter is off, and off what is on.
func turnOver(c Config) {
	for _, key := range map[string][]string{"bridge": {"ipMasq", "macspoofchk"}, "macvlan": {"hostShim"}}[c.Type()] {
		if key == "hostShim" && text(decodeOrNone(c["ipam"])["type"]) == "" || text(c["mode"]) != "" && text(c["mode"]) != "bridge" {
			continue // it is no configuration then
		}
		if string(c[key]) == "true" {
			delete(c, key)
		} else {
			c[key] = json.RawMessage("true")
		}
	}
}

func otherBackend(c Config) {
	key := map[string]string{"bridge": "ipMasqBackend", "ptp": "ipMasqBackend", "portmap": "backend", "firewall": "backend"}[c.Type()]
	switch {
	case key == "" || c["conditionsV4"] != nil || c["conditionsV6"] != nil: // in the words of one
	case text(c[key]) == "iptables":
		c[key] = json.RawMessage(`"nftables"`)
	default:
		c[key] = json.RawMessage(`"iptables"`)
		delete(c, "externalSetMarkChain") // a chain of somebody else's, which iptables wants to be there
	}
}

// undoneBy adds with one configuration, and deletes and collects with another.
func (w *World) undoneBy(own, other call) error {
	ground := own
	ground.of = w.other
	prime := func() error {
		result, err := w.addAs(w.inProcess, ground, len(w.Plugins))
		if err == nil {
			ground.prev = result
			err = w.del(w.inProcess, ground)
		}
		return err
	}
	if err := prime(); err != nil {
		return err
	}
	before := w.snapshot()
	for _, remembers := range []bool{true, false} {
		result, err := w.addAs(w.inProcess, own, len(w.Plugins))
		if err != nil {
			return err
		}
		if other.prev = nil; remembers {
			other.prev = result
		}
		if err := w.del(w.inProcess, other); err != nil {
			return err
		}
		if err := w.same(before, fmt.Sprintf("DEL, prevResult %v", remembers)); err != nil {
			return err
		}
	}
	if books, err := w.keepBooks(); !books || err != nil || !w.Speaks("GC") {
		return err
	}
	return w.collectedBy(own, other, prime)
}

// undoneByFirst adds with the whole list, and deletes and collects with its first plugin alone.
func (w *World) undoneByFirst() error {
	if len(w.flat().Plugins) < 2 {
		return nil
	}
	if err := w.prime(); err != nil {
		return err
	}
	before := snapshot.Take(w)
	first := func(_ int, config Config) {
		var list []Config
		if json.Unmarshal(config["plugins"], &list) == nil && list != nil {
			config["plugins"], _ = json.Marshal(list[:1])
		}
	}
	for _, way := range []string{"DEL", "GC", "GC with nothing written down"} {
		verb, _, lost := strings.Cut(way, " ")
		if verb == "GC" && !w.Speaks("GC") {
			continue
		}
		if _, err := w.add(w.inProcess, w.one); err != nil {
			return err
		}
		if lost {
			if err := os.RemoveAll("/run/cni/trestle/chained"); err != nil {
				return err
			}
		}
		_, err := w.inProcess(call{verb: verb, of: w.one, spoil: first, valid: []attachment{}})
		if err := errors.Join(err, w.vacate(nil), w.prime()); err != nil {
			return err
		}
		if err := sameShape(before, snapshot.Take(w), way+", and ADD and DEL of another"); err != nil {
			return err
		}
		if err := w.del(w.inProcess, call{of: w.one}); err != nil { // what is left in the container
			return err
		}
	}
	return nil
}

// collectedBy adds with one configuration and collects with another. The ground is made again then, since a GC takes away what it can.
func (w *World) collectedBy(own, other call, prime func() error) error {
	own.valid, other.prev, other.valid = []attachment{}, nil, []attachment{}
	gc := func(c call) error {
		c.verb = "GC"
		return errors.Join(w.all(w.inProcess, c), w.vacate(nil))
	}
	if err := errors.Join(gc(other), gc(own), prime()); err != nil {
		return err
	}
	before := snapshot.Take(w)
	if _, err := w.addAs(w.inProcess, own, len(w.Plugins)); err != nil {
		return err
	}
	if err := errors.Join(gc(other), prime()); err != nil {
		return err
	}
	if err := sameShape(before, snapshot.Take(w), "GC, and ADD and DEL of another"); err != nil {
		return err
	}
	return w.del(w.inProcess, own) // what a GC, which enters no namespace, left in there
}
