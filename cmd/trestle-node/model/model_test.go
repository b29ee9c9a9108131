// Package model is the gate of the protocol: it goes through every world of a few small scenes, with the protocol's own code in them, and each fault
// that is planted must be found.
package model

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
)

// scenes are those that `make test-node` has time for; with TRESTLE_LONG they are larger.
func scenes() map[string]scene {
	all := map[string]scene{
		"two machines, a block, one of them dies":                {machines: 2, blocks: 1, flight: 1, mortal: 1},
		"two machines, a block, one of them dies, two under way": {machines: 2, blocks: 1, flight: 2, mortal: 1},
		"a machine that dies, two under way":                     {machines: 1, blocks: 1, flight: 2, mortal: 1},
		"two machines, a block, two under way":                   {machines: 2, blocks: 1, flight: 2},
		"two machines, two blocks":                               {machines: 2, blocks: 2, flight: 1},
		"a machine that dies, a pool that is cut":                {machines: 1, blocks: 2, flight: 1, mortal: 1, resize: true},
		"a machine, a pool that is cut, two under way":           {machines: 1, blocks: 2, flight: 2, resize: true},
		"two machines of one name, both die":                     {machines: 2, blocks: 1, flight: 1, mortal: 2, clones: 2},
		"two machines, one of them dies and loses its disk":      {machines: 2, blocks: 1, flight: 1, mortal: 1, blank: 1},
		"a machine that dies and loses its disk, two under way":  {machines: 1, blocks: 2, flight: 2, mortal: 1, blank: 1},
		"two machines, a backup":                                 {machines: 2, blocks: 1, flight: 1, restore: true},
	}
	if os.Getenv("TRESTLE_LONG") != "" {
		all["two machines of one name, both die, two under way"] = scene{machines: 2, blocks: 1, flight: 2, mortal: 2, clones: 2}
		all["two machines, one of them dies and loses its disk, two under way"] = scene{machines: 2, blocks: 1, flight: 2, mortal: 1, blank: 1}
		all["two machines, one of them dies, a backup"] = scene{machines: 2, blocks: 1, flight: 1, mortal: 1, restore: true}
		all["two machines, a backup, two under way"] = scene{machines: 2, blocks: 1, flight: 2, restore: true}
		all["two machines, a block, both die"] = scene{machines: 2, blocks: 1, flight: 1, mortal: 2}
		all["two machines, a block, three under way"] = scene{machines: 2, blocks: 1, flight: 3}
		all["two machines, two blocks, a pool that is cut, two under way"] = scene{machines: 2, blocks: 2, flight: 2, resize: true}
	}
	return all
}

func TestNoWorldHasAFault(t *testing.T) {
	happened := make(map[string]int)
	for name, s := range scenes() {
		found := search(s)
		t.Logf("%s: %s", name, found)
		if found.fault != "" {
			t.Errorf("%s: %s", name, found)
		}
		for kind, n := range found.kinds {
			happened[kind] += n
		}
	}
	for _, kind := range []string{"goes down", "looks", "waits no longer", "close", "ADD", "DEL", "operator buries", "operator reclaims",
		"operator cuts or widens the pool", "store gets register", "answered: register", "answered: claim", "answered: re-open", "answered: give back",
		"lost: give back", "store gets bury", "store gets reclaim", "store gets define", "close, agent crashes before the ledger",
		"answered: claim, agent crashes after the ledger", "gets another's disk", "gets an empty disk", "backup is restored", "says again", "has said all again", "pool thaws"} {
		if happened[kind] == 0 {
			t.Errorf("%q never happened: the scenes show nothing of it", kind)
		}
	}
}

// without sends requests of the verb without what they compare of the keys of the kind.
func without(verb protocol.Verb, kind protocol.Kind) func(protocol.Request) protocol.Request {
	return func(q protocol.Request) protocol.Request {
		if q.Verb == verb {
			q.If = slices.DeleteFunc(slices.Clone(q.If), func(c protocol.Compare) bool {
				return c.Key.Kind == kind && (verb != protocol.Define || c.Last != pool.ID{})
			})
		}
		return q
	}
}

// Each of these is a fault that somebody's suite has had, or that leaves one compare out. The scene is the smallest that shows it.
func TestPlantedFaultsAreFound(t *testing.T) {
	deaths := scene{machines: 2, blocks: 1, flight: 2, mortal: 1}
	living := scene{machines: 2, blocks: 1, flight: 2}
	cut := scene{machines: 1, blocks: 2, flight: 2, resize: true}
	twins := scene{machines: 2, blocks: 1, flight: 1, mortal: 2, clones: 2}
	rebooted := scene{machines: 2, blocks: 1, flight: 1, mortal: 1, restore: true}
	back := scene{machines: 2, blocks: 1, flight: 1, restore: true}
	busy := scene{machines: 2, blocks: 1, flight: 2, mortal: 2, clones: 2}
	type planted struct {
		scene
		plant
	}
	all := []planted{
		{living, plant{name: "a re-opening does not move the epoch", stays: true}},
		{living, plant{name: "a block's deletion is sent before it is closed", early: true}},
		{living, plant{name: "keys of blocks run out", expires: true}},
		{living, plant{name: "renewal without a condition", send: without(protocol.Reopen, protocol.OfBlock)}},
		{cut, plant{name: "a claim does not compare the definition", send: without(protocol.Claim, protocol.OfPool)}},
		{deaths, plant{name: "a reclaim does not compare the record", send: without(protocol.Reclaim, protocol.OfNode), oldRecord: true}},
		{deaths, plant{name: "what host-local reads outlives the machine", survive: true}},

		{living, plant{name: "a claim does not compare the block", send: without(protocol.Claim, protocol.OfBlock)}},
		{deaths, plant{name: "a claim does not compare the record", send: without(protocol.Claim, protocol.OfNode)}},
		{deaths, plant{name: "a re-opening does not compare the record", send: without(protocol.Reopen, protocol.OfNode)}},
		{living, plant{name: "a deletion does not compare the block", send: without(protocol.GiveBack, protocol.OfBlock)}},
		{deaths, plant{name: "a reclaim does not compare the block", send: without(protocol.Reclaim, protocol.OfBlock)}},
		{deaths, plant{name: "a registration does not compare the record", send: without(protocol.Register, protocol.OfNode)}},
		{deaths, plant{name: "a burial does not compare the record", send: without(protocol.Bury, protocol.OfNode)}},
		{cut, plant{name: "a cut does not ask whose the blocks are", send: without(protocol.Define, protocol.OfBlock)}},
		{twins, plant{name: "a second machine of a name is let in", twins: true}},
		{twins, plant{name: "a block is given back by one who does not stand in the record, which is not compared", deposed: true, send: without(protocol.GiveBack, protocol.OfNode)}},
		{back, plant{name: "the pool thaws before all have said again what they have", hasty: true}},
		{back, plant{name: "what the backup has under a host's name is opened", believes: true}},
		{back, plant{name: "what was in doubt is said again", doubts: true}},
		{rebooted, plant{name: "agents start while the pool is frozen", restless: true}},
	}
	if os.Getenv("TRESTLE_LONG") != "" { // there is no smaller one; TestWritesCompareTheRecord holds it meanwhile
		all = append(all, planted{busy, plant{name: "a deletion does not compare the record", send: without(protocol.GiveBack, protocol.OfNode)}})
	}
	for _, c := range all {
		c.scene.plant = c.plant
		t.Run(c.plant.name, func(t *testing.T) {
			found := search(c.scene)
			if found.fault == "" {
				t.Errorf("is not found in %s", found)
			}
			t.Log(found)
		})
	}
}

// Nothing that one boot of a host has sent is done when another stands in its record.
func TestWritesCompareTheRecord(t *testing.T) {
	s := protocol.State{Node: "n", Boot: "b", Record: 7, Pool: 3}
	_, claim, err := s.Claim(id(0), "nonce")
	s.Blocks = []protocol.Block{{ID: id(0), Phase: protocol.Closed, Epoch: 5}}
	reopen, err2 := s.Reopen(id(0), "nonce")
	giveBack, err3 := s.GiveBack(id(0))
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	for _, q := range []protocol.Request{claim, reopen, giveBack} {
		if !slices.Contains(q.If, protocol.Compare{Key: protocol.NodeKey("n"), Revision: 7}) {
			t.Errorf("%v compares %v", q.Verb, q.If)
		}
	}
}

// What is forbidden above is forbidden for this: without it, two machines hand out of one block.
func TestWhatFollows(t *testing.T) {
	living := scene{machines: 2, blocks: 1, flight: 2, twice: true}
	deaths := scene{machines: 2, blocks: 1, flight: 1, mortal: 1, twice: true}
	for _, c := range []struct {
		scene
		plant
	}{
		{living, plant{name: "a re-opening does not move the epoch", stays: true}},
		{living, plant{name: "a block's deletion is sent before it is closed", early: true}},
		{living, plant{name: "keys of blocks run out", expires: true}},
		{living, plant{name: "renewal without a condition", send: without(protocol.Reopen, protocol.OfBlock)}},
		{deaths, plant{name: "a reclaim does not compare the record", send: without(protocol.Reclaim, protocol.OfNode), oldRecord: true}},
		{deaths, plant{name: "what host-local reads outlives the machine", survive: true}},
	} {
		c.scene.plant = c.plant
		t.Run(c.plant.name, func(t *testing.T) {
			found := search(c.scene)
			if found.fault == "" {
				t.Errorf("is not found in %s", found)
			}
			t.Log(found)
		})
	}
}
