package plugin

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// GivesNone is the fault of an address plugin that is one, of the suite or of the reference's, that gives no addresses: it would read the same
// configuration again, and ask for addresses as the one did that called it.
func GivesNone(kind string) error {
	switch kind {
	case "trestle", "bridge", "ipvlan", "macvlan", "ptp", "vlan", "host-device", "dummy", "tap", "loopback",
		"portmap", "bandwidth", "firewall", "tuning", "sbr", "vrf":
		return fault.New(fault.Config, "name one that does, as host-local", "ipam.type: %s: gives no addresses", kind)
	}
	return nil
}

// callers is the variable that names the plugins within whose calls a call is, the outermost first. Others pass it on with the rest of the
// environment. So whatever goes round ends, by whichever names and through whomever.
const callers = "TRESTLE_CALLERS"

// mostCallers is more than there can be: a list, a plugin of it, its address plugin, and what that may ask.
const mostCallers = 6

// within is the environment of what this call calls.
func (r *Request) within(command string) map[string]string {
	env := maps.Clone(r.Environ)
	env["CNI_COMMAND"], env[callers] = command, strings.TrimPrefix(env[callers]+":"+r.Plugin, ":")
	return env
}

// goesRound says whether this plugin was called, by others or not, from a call of itself: that has the same configuration, and the lock.
func (r *Request) goesRound() bool {
	outer := strings.Split(r.Environ[callers], ":")
	return slices.Contains(outer, r.Plugin) || len(outer) > mostCallers
}

// endRound refuses a call within a call of the same plugin. A DEL has nothing to do that the outer one does not do.
func endRound(_ context.Context, r *Request) error {
	if r.Command == "DEL" {
		return nil
	}
	return fault.New(fault.Config, "name another plugin as ipam.type, or in the list", "%s: called by itself, within %s", r.Plugin, r.Environ[callers])
}
