// Package known is what the tool knows of plugins: an entry each (table.go), and the questions that pages, checks, traces and pictures ask of
// them. Nothing else of the tool names a plugin, so that to add one to the tool is to add an entry; test/floors holds that.
package known

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	"github.com/trestle-cni/trestle/pkg/operator/conflist"
	"github.com/trestle-cni/trestle/pkg/operator/draw"
)

// Part is what a plugin does in a list.
type Part int

// The parts. The zero Part is that of a plugin of which nothing but its name is known.
const (
	Stranger  Part = iota
	Interface      // it makes the interface
	Chained        // it works on the interface that another made
	Address        // it gives addresses
	List           // it runs a list of plugins
)

// Plugin is what the tool knows of a plugin.
type Plugin struct {
	Name string
	Part Part

	// Which of its keys say what. An empty one: it has none.
	Bridge     Key      // the bridge of the host that its links are ports of
	Parent     Key      // the link of the host that its links stand on
	Lan        bool     // they are on the LAN of that link, and have addresses of it
	Gateway    []string // true in any of them: the result's gateways are addresses of the host
	Masquerade string   // true in it: its addresses leave with the host's
	Backend    string   // the packet filter that it writes
	Publishes  string   // the capability by which it is told the ports that it publishes
	Daemon     Key      // an address plugin: the socket of the daemon that renews what it gives
	Ranges     bool     // an address plugin: subnet, rangeStart, rangeEnd, gateway and ranges are host-local's, and so are its reservations

	Tells   []string // keys that say what it does to the interface, and that a page of that shows
	Told    string   // the capability by which it is told the same keys where none of them is in the list
	Resizes string   // the key by which the container's end gets an MTU of its own

	Flows     [][2]string // keys of a rate, and of how much may go at once beside it
	MostBurst string      // the key that bounds the latter

	Allows    string // the key whose members an operator may have to allow
	AllowList string // the file in which he does: a regular expression a line

	Needs string // the capability without which it does nothing
	Idle  string // that it does nothing, in its words

	Links    []Link
	Unmarked bool // its link bears no mark: whose it is, the container's others tell

	// Every has, but for its type, all keys with which its GC finds whatever it may have made, where only a network's name is known; nil: another's
	// GC does it.
	Every map[string]any
}

// Key is a key whose value is a name, and the name that stands for none.
type Key struct{ Name, Default string }

// Link is one kind of link that a plugin makes.
type Link struct {
	Kind    string    // as the kernel calls it
	Mark    string    // the alias that ours have; empty: the owner's tag
	Drawn   draw.Kind // how one on the host is drawn
	Opaque  bool      // what becomes of a packet there is not followed
	Stacked bool      // it hangs on a parent, and sends by that
	Beside  bool      // it stands beside the host's end of its attachment, which leads to it what comes in
}

// Of returns what is known of the plugin of that name: of one that nobody knows, its name alone.
func Of(name string) Plugin {
	for _, p := range table {
		if p.Name == name {
			return p
		}
	}
	return Plugin{Name: name}
}

// Names are those of all plugins that are known, of others' suites, too.
func Names() []string {
	names := slices.Clone(strangers)
	for _, p := range table {
		names = append(names, p.Name)
	}
	return names
}

// Type is the type of a list's entry or, by way of its ipam, of its address plugin; empty for none.
func Type(entry *conflist.Node) string { return text(entry, "type") }

func text(n *conflist.Node, key string) string {
	if value := n.Get(key); value != nil {
		return value.Text
	}
	return ""
}

// BridgeOf is the name of the bridge that the entry puts its links on; empty for none.
func BridgeOf(entry *conflist.Node) string { return Of(Type(entry)).Bridge.of(entry) }

// ParentOf is the name of the host's link that the entry's links stand on; empty for none, or where the plugin finds it by itself.
func ParentOf(entry *conflist.Node) string { return Of(Type(entry)).Parent.of(entry) }

// TaggedOf is the name of the host's link whose VLANs the entry's links are; empty for those that are none.
func TaggedOf(entry *conflist.Node) string {
	p := Of(Type(entry))
	if !slices.ContainsFunc(p.Links, func(l Link) bool { return l.Kind == KindVLAN }) {
		return ""
	}
	return p.Parent.of(entry)
}

func (k Key) of(entry *conflist.Node) string {
	if k.Name == "" {
		return ""
	}
	return cmp.Or(text(entry, k.Name), k.Default)
}

// LanOf says on the LAN of which of the host's links the entry's are; empty where the plugin finds it by itself, and false for those that are on none.
func LanOf(entry *conflist.Node) (link string, on bool) {
	if !Of(Type(entry)).Lan {
		return "", false
	}
	return ParentOf(entry), true
}

// GatewayOf says whether the entry makes the host the gateway.
func GatewayOf(entry *conflist.Node) bool {
	return slices.ContainsFunc(Of(Type(entry)).Gateway, func(key string) bool { return isTrue(entry, key) })
}

// Masquerades says whether what the entry attaches leaves with the host's address.
func Masquerades(entry *conflist.Node) bool {
	key := Of(Type(entry)).Masquerade
	return key != "" && isTrue(entry, key)
}

// ResizedBy says whether the entry gives the container's end an MTU of its own.
func ResizedBy(entry *conflist.Node) bool {
	key := Of(Type(entry)).Resizes
	return key != "" && (entry.Get(key) != nil || entry.Get("args").Get("cni").Get(key) != nil)
}

// AsksFor says whether the entry chooses the packet filter of that name.
func AsksFor(entry *conflist.Node, backend string) bool {
	key := Of(Type(entry)).Backend
	return key != "" && text(entry, key) == backend
}

func isTrue(n *conflist.Node, key string) bool {
	value := n.Get(key)
	return value != nil && value.Kind == conflist.Bool && value.Text == "true"
}

// Reserves says whether the entry's address plugin reserves addresses in files.
func Reserves(entry *conflist.Node) bool { return Of(Type(entry.Get("ipam"))).Ranges }

// RangesOf are the objects in which the entry's address plugin is told its ranges, by sets whose ranges stand in for each other, be it in the file that
// it names; none where it reads them otherwise, or the file cannot be read.
func RangesOf(entry *conflist.Node) (sets [][]*conflist.Node) {
	ipam := entry.Get("ipam")
	if !Reserves(entry) {
		return nil
	}
	sets = append(sets, []*conflist.Node{ipam})
	from := ipam
	if file := ipam.Get("rangesFrom"); file != nil && file.Text != "" {
		from = file.Named()
	}
	if ranges := from.Get("ranges"); ranges != nil {
		for _, set := range ranges.Items {
			sets = append(sets, set.Items)
		}
	}
	return sets
}

// DaemonOf is the socket of the daemon by which the entry's address plugin has its addresses; empty for none.
func DaemonOf(entry *conflist.Node) string {
	ipam := entry.Get("ipam")
	return Of(Type(ipam)).Daemon.of(ipam)
}

// Inner are the entries of the list that an entry is to run, or that the whole configuration is.
func Inner(entry *conflist.Node) []*conflist.Node {
	if list := entry.Get("plugins"); list != nil {
		return list.Items
	}
	return nil
}

// Everything is a list with which a GC finds whatever any plugin may have made, of those that has says are there.
func Everything(has func(name string) bool) (entries []json.RawMessage) {
	for _, p := range table {
		if p.Every != nil && has(p.Name) {
			entries = append(entries, p.entry(p.Every))
		}
	}
	return entries
}

// Ground is a list with which a GC takes the bridge as one of a network that is known.
func Ground(bridge string) (entries []json.RawMessage) {
	for _, p := range table {
		if slices.ContainsFunc(p.Links, func(l Link) bool { return l.Drawn == draw.Bridge }) {
			entries = append(entries, p.entry(map[string]any{p.Bridge.Name: bridge, p.Gateway[0]: true}))
		}
	}
	return entries
}

func (p Plugin) entry(keys map[string]any) json.RawMessage {
	all := map[string]any{"type": p.Name}
	maps.Copy(all, keys)
	text, _ := json.Marshal(all) // words and truth values
	return text
}
