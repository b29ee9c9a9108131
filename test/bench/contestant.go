package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/trestle-cni/trestle/test/bench/host"
)

// Contestant is one way to have a pod attached.
type Contestant struct {
	Name   string
	driver string
	dir    string
	starts int  // processes that an ADD starts
	named  int  // plugins that the conflist names
	peer   bool // somebody else's
	one    bool // the whole list in one plugin
	lists  bool // it has all verbs

	backend string // that a peer is told to use, in every column
}

// filled is ours where nothing is measured but what the pods of a host meet: what all forms leave in the kernel is the same.
const filled = "ours"

// operator is the tool, which is asked about those who are present.
const operator = "trestle"

// contestants are all that take part, the peers first.
func (w works) contestants(s Scenario) (list []Contestant) {
	for _, p := range w.peers {
		list = append(list, Contestant{Name: p.name, dir: p.dir, peer: true, named: 2, lists: true, backend: p.backend})
	}
	for _, c := range []Contestant{
		{Name: "separate", dir: w.separate, starts: 3, named: 2, lists: true},
		{Name: "bundle", dir: w.bundle, starts: 2, named: 2, lists: true},
		{Name: "one exec", dir: w.bundle, starts: 1, named: 1, one: true, lists: true},
		{Name: "floor", driver: host.Floor},
		{Name: "a start", driver: host.Program, dir: w.empty},
		{Name: "a start, bridge", driver: host.Program, dir: filepath.Join(w.separate, "bridge")},
		{Name: "a start, bundle", driver: host.Program, dir: filepath.Join(w.bundle, "bridge")},
		{Name: filled, driver: host.Inside, one: true},
		{Name: operator, driver: host.Tool, dir: filepath.Join(w.bundle, "trestle")},
	} {
		if s.only == nil && c.Name != filled && c.Name != operator || slices.Contains(s.only, c.Name) {
			list = append(list, c)
		}
	}
	return list
}

// conflist is the nth network of the column in the contestant's form. No key is in it that the reference does not have.
func (c Contestant) conflist(col Column, n int) []byte {
	four, six := fmt.Sprintf(`[{"subnet": "10.%d.0.0/16"}]`, 64+n), fmt.Sprintf(`[{"subnet": "fd00:%d::/64"}]`, 64+n)
	sets := map[string]string{"4": four, "6": six, "both": four + ", " + six}[col.Family]
	masquerade, ports, backend := "", "", col.Backend
	if c.peer {
		backend = c.backend
	}
	if backend != "" {
		masquerade, ports = fmt.Sprintf(`"ipMasqBackend": %q, `, backend), fmt.Sprintf(`"backend": %q, `, backend)
	}
	bridge := fmt.Sprintf(`{"type": "bridge", "bridge": "bench%d", "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true, %s
		"ipam": {"type": "host-local", "ranges": [%s]}}`, n, masquerade, sets)
	portmap := fmt.Sprintf(`{"type": "portmap", %s"capabilities": {"portMappings": true}}`, ports)
	plugins := map[string]string{
		"":         "[" + bridge + ", " + portmap + "]",
		"podman":   "[" + bridge + ", " + portmap + `, {"type": "firewall"}, {"type": "tuning"}]`,
		"filtered": "[" + bridge + `, {"type": "firewall"}]`,
		"pairs": fmt.Sprintf(`[{"type": "ptp", "ipMasq": true, %s"ipam": {"type": "host-local", "ranges": [%s], "routes": [{"dst": "0.0.0.0/0"}]}}]`,
			masquerade, sets),
	}[col.List]
	if c.one {
		plugins = `[{"type": "trestle", "capabilities": {"portMappings": true}, "plugins": ` + plugins + `}]`
	}
	text, _ := json.Marshal(map[string]any{"cniVersion": "1.0.0", "name": fmt.Sprint("bench", n), "plugins": json.RawMessage(plugins)})
	return text
}

// network is the number of the one that the measured pods are on: that of those who are present or, where the time of one plugin is asked for, one of their own: what the kernel
// has to hand to a thousand ports of a bridge it does while the plugin after bridge is at work.
func (m *match) network() int {
	if m.Of == "" {
		return 0
	}
	return m.Present/bridgeful + 1
}
