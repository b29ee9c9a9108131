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
	only        []string // of ours and the floor; nil: all
	ours        bool     // no peers: the pods that are present are ours
}

// Column is what is done in each round of one column.
type Column struct {
	Name     string        `json:"name"`
	Present  int           `json:"present"`  // pods that are there before
	Parallel int           `json:"parallel"` // calls at a time
	Calls    int           `json:"calls"`    // of each verb in a round
	Mappings host.Mappings `json:"mappings"`
	Family   string        `json:"family"`  // 4, 6 or both
	Backend  string        `json:"backend"` // of ours; empty: as without the key
	Mixed    bool          `json:"mixed"`   // ADDs and DELs by turns
	Traced   bool          `json:"traced"`  // count programs instead of time
}

// plain is a column with one pod after the other, one port, IPv4.
func plain(name string) Column {
	return Column{Name: name, Parallel: 1, Calls: 1, Mappings: host.Mappings{Count: 1, Protocol: "tcp"}, Family: "4"}
}

// ways are our forms, without the floor.
var ways = []string{"separate", "bundle", "one exec"}

// scenarios are the questions, in the order of the page.
func scenarios(o options) []Scenario {
	list := []Scenario{
		{Name: "one", Title: "One pod at a time, on an empty host", Rounds: 40, Columns: []Column{plain("")}},
		{Name: "execs", Title: "Programs started", Rounds: 1, Columns: []Column{traced()}, only: ways},
		{Name: "family", Title: "By family", Rounds: 25, Columns: families(), only: ways},
		{Name: "ports", Title: "By published ports, udp", Rounds: 6, Columns: ports("udp", o.long)},
		{Name: "pods", Title: "By pods present", Rounds: 25, Columns: crowds(o.long), only: []string{"bundle", "one exec", "separate", "floor", "a start"}, ours: true},
		{Name: "backend", Title: "By backend of ours", Rounds: 15, Columns: backends(), only: ways},
		{Name: "tcp", Title: "By published ports, tcp", Rounds: 6, Columns: ports("tcp", o.long), only: ways},
		{Name: "parallel", Title: "Many at a time", Rounds: 4, Columns: parallel(), only: ways},
		{Name: "mix", Title: "ADDs and DELs by turns, 16 at a time", Rounds: 4, Columns: []Column{mixed()}, only: ways},
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

func ports(protocol string, long bool) (list []Column) {
	for _, count := range []int{1, 10, 100, 500} {
		if count == 500 && !long {
			continue // the reference takes half a minute for each
		}
		c := plain(fmt.Sprint(count))
		c.Mappings = host.Mappings{Count: count, Protocol: protocol}
		list = append(list, c)
	}
	return list
}

// backends has the reference beside ours on the same packet filter.
func backends() (list []Column) {
	for _, backend := range []string{"nftables", "iptables"} {
		c := plain(backend)
		c.Backend = backend
		list = append(list, c)
	}
	return list
}

// mixed is half of the calls ADDs, and half DELs of pods that were added before.
func mixed() Column {
	c := plain("")
	c.Parallel, c.Calls, c.Mixed = 16, 32, true
	return c
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
func (w works) contestants(s Scenario) (list []Contestant) {
	if !s.ours {
		for _, p := range w.peers {
			list = append(list, Contestant{Name: p.name, dir: p.dir, lists: true})
		}
	}
	for _, c := range []Contestant{
		{Name: "separate", dir: w.separate, starts: 3, lists: true},
		{Name: "bundle", dir: w.bundle, starts: 2, lists: true},
		{Name: "one exec", dir: w.bundle, starts: 1, one: true, lists: true},
		{Name: "floor", driver: host.Floor},
		{Name: "a start", driver: host.Program, dir: w.empty},
	} {
		if s.only == nil || slices.Contains(s.only, c.Name) {
			list = append(list, c)
		}
	}
	return list
}

// conflist is the nth network of the column in the contestant's form. The reference of Debian knows no key of ours, so there is none in it.
func (c Contestant) conflist(col Column, n int) []byte {
	four, six := fmt.Sprintf(`[{"subnet": "10.%d.0.0/16"}]`, 64+n), fmt.Sprintf(`[{"subnet": "fd00:%d::/64"}]`, 64+n)
	sets := map[string]string{"4": four, "6": six, "both": four + ", " + six}[col.Family]
	masquerade, ports := "", ""
	if col.Backend != "" && c.starts > 0 {
		masquerade, ports = fmt.Sprintf(`"ipMasqBackend": %q, `, col.Backend), fmt.Sprintf(`"backend": %q, `, col.Backend)
	}
	plugins := fmt.Sprintf(`[{"type": "bridge", "bridge": "bench%d", "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true, %s
		"ipam": {"type": "host-local", "ranges": [%s]}}, {"type": "portmap", %s"capabilities": {"portMappings": true}}]`, n, masquerade, sets, ports)
	if c.one {
		plugins = `[{"type": "trestle", "capabilities": {"portMappings": true}, "plugins": ` + plugins + `}]`
	}
	text, _ := json.Marshal(map[string]any{"cniVersion": "1.0.0", "name": fmt.Sprint("bench", n), "plugins": json.RawMessage(plugins)})
	return text
}
