package main

import (
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
	costly      bool     // as many rounds in the whole matrix
	shared      bool     // ours have one host in each column, with pods of their own: what is present is the same for them
	why         string   // peers are not in some columns
}

// Column is what is done in each round of one column.
type Column struct {
	Name     string        `json:"name"`
	Present  int           `json:"present"`  // pods that are there before
	Parallel int           `json:"parallel"` // calls at a time
	Calls    int           `json:"calls"`    // of each verb in a round
	Mappings host.Mappings `json:"mappings"`
	Family   string        `json:"family"`  // 4, 6 or both
	Backend  string        `json:"backend"` // empty: as without the key
	Mixed    bool          `json:"mixed"`   // ADDs and DELs by turns
	List     string        `json:"list"`    // podman's, which has firewall and tuning; pairs, of ptp; filtered, with firewall; empty: bridge and portmap
	Of       string        `json:"of"`      // the one plugin whose time counts; empty: all of the list
	Traced   bool          `json:"traced"`  // count programs instead of time
	Reach    bool          `json:"reach"`   // flows through the ports of those present, instead of verbs
	alone    bool          // no peers
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
		{Name: "execs", Title: "Programs started", Rounds: 1, Columns: traced(), only: ways, costly: true},
		{Name: "family", Title: "By family", Rounds: 25, Columns: families(), only: ways},
		{Name: "ports", Title: "By published ports, udp", Rounds: 6, Columns: ports("udp", o.long), costly: true, why: "an ADD of theirs takes half a minute"},
		{Name: "tcp", Title: "By published ports, tcp", Rounds: 6, Columns: ports("tcp", o.long), only: ways, costly: true, why: "an ADD of theirs takes half a minute"},
		{Name: "pods", Title: "By pods present", Rounds: 25, Columns: crowds(o.long), costly: true, shared: true,
			why: "to fill a host by their own ADDs takes minutes to hours"},
		{Name: "backend", Title: "By backend", Rounds: 15, Columns: backends(), only: ways},
		{Name: "podman", Title: "The list that podman writes: bridge, portmap, firewall, tuning", Rounds: 15, Columns: []Column{podman(false)}, only: ways},
		{Name: "pairs", Title: "By containers present, on pairs of their own (ptp)", Rounds: 25, Columns: among("pairs", "", 0, 1000, o.most()), only: append(ways, "floor"),
			costly: true, shared: true},
		{Name: "firewall", Title: "The plugin firewall alone, by containers present", Rounds: 25, Columns: among("filtered", "firewall", 0, 1000, o.most()), only: ways[:2],
			costly: true, shared: true},
		{Name: "parallel", Title: "Many at a time", Rounds: 4, Columns: parallel(), only: ways},
		{Name: "mix", Title: "ADDs and DELs by turns, 16 at a time", Rounds: 4, Columns: []Column{mixed()}, only: ways},
		{Name: "tool", Title: "The operator's tool, by containers present", Rounds: 5, Columns: among("", "", 1, 100, 1000), only: []string{operator}, costly: true},
		{Name: "reach", Title: "By published ports, flows through the first and the last", Rounds: 80, Columns: reaches(o.long), only: []string{filled},
			costly: true, why: "to publish so many by their own ADDs takes minutes to hours"},
	}
	for i := range list {
		if o.long && !list[i].costly {
			list[i].Rounds *= 2
		}
		if o.rounds > 0 {
			list[i].Rounds = o.rounds
		}
	}
	return list
}

// traced has the columns of the programs that are counted: one port, and what else a form might start more for.
func traced() []Column {
	one, ten, both := plain("1 port"), plain("10 ports"), plain("both families")
	ten.Mappings.Count, both.Family = 10, "both"
	list := []Column{one, ten, both}
	for i := range list {
		list[i].Traced = true
	}
	return list
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
		c := plain(fmt.Sprint(count))
		c.alone = count == 500 && !long
		c.Mappings = host.Mappings{Count: count, Protocol: protocol}
		list = append(list, c)
	}
	return list
}

// backends hands the key to ours. A peer has its own in both columns.
func backends() (list []Column) {
	for _, backend := range []string{"nftables", "iptables"} {
		c := plain(backend)
		c.Backend = backend
		list = append(list, c)
	}
	return list
}

// podman is the list that podman writes for a network, a pod at a time or its programs counted.
func podman(traced bool) Column {
	c := plain("")
	c.List, c.Traced = "podman", traced
	return c
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
		c.Present, c.alone = present, present > 100 && !long || present > 1000
		list = append(list, c)
	}
	return list
}

// most is how many containers are present at the most.
func (o options) most() int {
	if o.long {
		return 10000
	}
	return 1000
}

// among has a list, all of it or one plugin's part, among so many containers that are there before.
func among(list, of string, present ...int) (columns []Column) {
	for _, count := range slices.Compact(present) {
		c := plain(fmt.Sprint(count))
		c.List, c.Of, c.Present, c.Mappings.Count, c.alone = list, of, count, 0, true
		columns = append(columns, c)
	}
	return columns
}

// reaches has so many ports, over tcp and udp, as pods that have them in equal shares.
func reaches(long bool) (list []Column) {
	for _, share := range []struct{ pods, each int }{{1, 10}, {10, 10}, {100, 10}, {100, 100}} {
		c := plain(fmt.Sprint(share.pods * share.each))
		c.Reach, c.Present, c.Calls, c.Mappings = true, share.pods, 100, host.Mappings{Count: share.each, Protocol: "both"}
		c.alone = share.pods > 10 && !long || share.each > 10
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
