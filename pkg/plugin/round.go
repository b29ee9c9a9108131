package plugin

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/process"
	"github.com/trestle-cni/trestle/pkg/kernel/procfile"
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
const callers = process.Within

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
	return slices.Contains(outer, r.Plugin) || len(outer) > mostCallers || r.waitsForNobody() && above() > mostCallers
}

// waitsForNobody is true of calls that take no lock of an owner's. Others that went round would wait for themselves, and end when their time is up.
func (r *Request) waitsForNobody() bool {
	return r.Command == "CHECK" || r.Command == "STATUS" || r.Command == "GC"
}

// above counts the processes above this one that run the same program: the variable is gone where somebody in between clears the environment, and they are not.
// They are counted once: the tool asks for a thousand calls in one process.
var above = sync.OnceValue(func() (count int) {
	own, err := os.Stat("/proc/self/exe")
	if err != nil {
		return 0
	}
	for pid := os.Getppid(); pid > 1; pid = parent(pid) {
		if other, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && os.SameFile(own, other) {
			count++
		}
	}
	return count
})

// parent is the process above another, 0 where that is not known.
func parent(pid int) int {
	text, _ := procfile.Read(fmt.Sprintf("/proc/%d/stat", pid)) // proc(5): number, (name), state, parent
	_, rest, _ := strings.Cut(string(text[bytes.LastIndexByte(text, ')')+1:]), " ")
	words := strings.Fields(rest)
	if len(words) < 2 {
		return 0
	}
	number, _ := strconv.Atoi(words[1])
	return number
}

// endRound refuses a call within a call of the same plugin. A DEL has nothing to do that the outer one does not do.
func endRound(_ context.Context, r *Request) error {
	if r.Command == "DEL" {
		return nil
	}
	return fault.New(fault.Config, "name another plugin as ipam.type, or in the list", "%s: called by itself, within %s", r.Plugin, r.Environ[callers])
}
