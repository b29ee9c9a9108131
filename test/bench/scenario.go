package main

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/trestle-cni/trestle/test/bench/host"
)

// Scenario is one question, with several columns (10 ports, 100 ports ...) that differ in one thing.
type Scenario struct {
	Name, Title string
	Rounds      int
	Columns     []Column
	only        []string // contestants; nil: all
}

// Column is what is done in each round of one column.
type Column struct {
	Name     string        `json:"name"`
	Present  int           `json:"present"`  // pods that are there before
	Parallel int           `json:"parallel"` // calls at a time
	Calls    int           `json:"calls"`    // of each verb in a round
	Mappings host.Mappings `json:"mappings"`
	Family   string        `json:"family"` // 4, 6 or both
	Traced   bool          `json:"traced"` // count programs instead of time
}

// plain is a column with one pod after the other, one port, IPv4.
func plain(name string) Column {
	return Column{Name: name, Parallel: 1, Calls: 1, Mappings: host.Mappings{Count: 1, Protocol: "tcp"}, Family: "4"}
}

// scenarios are the questions, in the order of the page.
func scenarios(o options) []Scenario {
	list := []Scenario{
		{Name: "one", Title: "One pod at a time, on an empty host", Rounds: 40, Columns: []Column{plain("")}},
		{Name: "execs", Title: "Programs started", Rounds: 1, Columns: []Column{traced()}, only: []string{"reference", "separate", "bundle", "one exec"}},
		{Name: "family", Title: "By family", Rounds: 25, Columns: families(), only: []string{"reference", "separate", "bundle", "one exec"}},
		{Name: "ports", Title: "By published ports, udp", Rounds: 6, Columns: ports(o.long)},
		{Name: "pods", Title: "By pods present", Rounds: 25, Columns: crowds(o.long), only: []string{"bundle", "one exec", "separate"}},
		{Name: "parallel", Title: "Many at a time", Rounds: 4, Columns: parallel(), only: []string{"reference", "separate", "bundle", "one exec"}},
	}
	for i := range list {
		if o.long {
			list[i].Rounds *= 2
		}
		if o.rounds > 0 {
			list[i].Rounds = o.rounds
		}
	}
	return list
}

func traced() Column {
	c := plain("")
	c.Traced = true
	return c
}

func families() (list []Column) {
	for _, family := range []string{"4", "6", "both"} {
		c := plain(map[string]string{"4": "IPv4", "6": "IPv6", "both": "both"}[family])
		c.Family = family
		list = append(list, c)
	}
	return list
}

func ports(long bool) (list []Column) {
	for _, count := range []int{1, 10, 100, 500} {
		if count == 500 && !long {
			continue // the reference takes half a minute for each
		}
		c := plain(fmt.Sprint(count))
		c.Mappings = host.Mappings{Count: count, Protocol: "udp"}
		list = append(list, c)
	}
	return list
}

func crowds(long bool) (list []Column) {
	for _, present := range []int{0, 100, 1000, 10000} {
		if present == 10000 && !long {
			continue
		}
		c := plain(fmt.Sprint(present))
		c.Present = present
		list = append(list, c)
	}
	return list
}

func parallel() (list []Column) {
	for _, at := range []int{1, 8, 16, 64} {
		c := plain(fmt.Sprint(at))
		c.Parallel, c.Calls = at, max(16, at)
		list = append(list, c)
	}
	return list
}

// Contestant is one way to have a pod attached.
type Contestant struct {
	Name   string
	driver string
	dir    string
	starts int  // processes that an ADD starts
	one    bool // the whole list in one plugin
	lists  bool // it has all verbs
}

// contestants are all that take part, the peers first.
func (w works) contestants(only []string) (list []Contestant) {
	for _, p := range w.peers {
		list = append(list, Contestant{Name: p.name, dir: p.dir, lists: true})
	}
	list = append(list,
		Contestant{Name: "separate", dir: w.separate, starts: 3, lists: true},
		Contestant{Name: "bundle", dir: w.bundle, starts: 2, lists: true},
		Contestant{Name: "one exec", dir: w.bundle, starts: 1, one: true, lists: true},
		Contestant{Name: "floor", driver: host.Floor},
		Contestant{Name: "a start", driver: host.Program, dir: w.empty})
	if only == nil {
		return list
	}
	return slices.DeleteFunc(list, func(c Contestant) bool {
		return !slices.Contains(only, c.Name) && !slices.ContainsFunc(w.peers[1:], func(p peer) bool { return p.name == c.Name })
	})
}

// conflist is the nth network of the column in the contestant's form. The reference of Debian knows no key of ours, so there is none in it.
func (c Contestant) conflist(col Column, n int) []byte {
	four, six := fmt.Sprintf(`[{"subnet": "10.%d.0.0/16"}]`, 64+n), fmt.Sprintf(`[{"subnet": "fd00:%d::/64"}]`, 64+n)
	sets := map[string]string{"4": four, "6": six, "both": four + ", " + six}[col.Family]
	plugins := fmt.Sprintf(`[{"type": "bridge", "bridge": "bench%d", "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true,
		"ipam": {"type": "host-local", "ranges": [%s]}}, {"type": "portmap", "capabilities": {"portMappings": true}}]`, n, sets)
	if c.one {
		plugins = `[{"type": "trestle", "capabilities": {"portMappings": true}, "plugins": ` + plugins + `}]`
	}
	text, _ := json.Marshal(map[string]any{"cniVersion": "1.0.0", "name": fmt.Sprint("bench", n), "plugins": json.RawMessage(plugins)})
	return text
}
