package hosts

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
)

// A verb is killed at its system calls: at those that write, that make or remove a file, and that speak to the store. Whatever it was at, what host-local reads is never more than
// what the store has under the host's name, and a reconcile brings it to its end.
func TestVerbsAreKilled(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		most := 2 // a thread counts its own
		if os.Getenv("TRESTLE_LONG") != "" {
			most = 100
		}
		w := newWorld(t, map[string]any{"pool": map[string]any{"cidrs": []string{"10.64.0.0/24"}, "blockSize": map[string]int{"ipv4": 30}}})
		h := w.host("h1", "sw0", "", []string{"192.0.2.1/24"})
		h.node("init")
		for _, c := range []struct {
			verb   []string
			before func()
		}{
			{[]string{"claim"}, func() { h.node("release", "--all") }},
			{[]string{"claim", "--more"}, func() { h.node("release", "--all"); h.node("claim") }},
			{[]string{"release", "--all"}, func() { h.node("claim") }},
			{[]string{"reconcile"}, h.rebooted},
		} {
			kills := 0
			for _, call := range []string{"openat", "write", "renameat,renameat2", "unlinkat", "fsync,fdatasync", "flock"} {
				for n := 1; n <= most; n++ {
					c.before()
					lived := h.killed(call, n, c.verb...)
					h.consistent(fmt.Sprintf("%v killed at its %s number %d", c.verb, call, n))
					if lived {
						break
					}
					kills++
				}
			}
			if t.Logf("%v: %d kills", c.verb, kills); kills < 5 {
				t.Errorf("%v was killed %d times: that shows nothing", c.verb, kills)
			}
		}
	})
}

// rebooted makes the host another boot's, which has blocks.
func (h *host) rebooted() {
	h.node("claim")
	h.do("sed", "-i", `s/"boot": "[^"]*"/"boot": "the one before"/`, "/var/lib/cni/blocks/pods.json")
	h.do("rm", "/run/cni/blocks/pods.json")
}

// killed runs a verb that is killed at that call of it, and says whether it lived to its end.
func (h *host) killed(call string, n int, verb ...string) (lived bool) {
	h.w.t.Helper()
	strace := []string{"strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e", "inject=" + call + ":signal=KILL:when=" + strconv.Itoa(n)}
	out, err := h.command(append(append(strace, program("trestle-node"), "--config", h.file()), verb...)...).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == unix.SIGKILL { // strace ends as what it ran does
		return false
	}
	if err != nil {
		h.w.t.Fatalf("%v, to be killed at %s %d: %v\n%s", verb, call, n, err, out)
	}
	return true
}

// consistent holds that nothing is handed out that the store does not say is the host's, and after a reconcile that all is which is.
func (h *host) consistent(after string) {
	h.w.t.Helper()
	owned, handed := h.owned(), h.handed()
	for block := range handed {
		if !owned[block] {
			h.w.t.Errorf("%s: hands out of %s, which the store has not under its name", after, block)
		}
	}
	h.node("reconcile")
	owned, handed = h.owned(), h.handed()
	for block := range owned {
		if !handed[block] {
			h.w.t.Errorf("%s: does not hand out of %s, which is its, after a reconcile", after, block)
		}
	}
	if len(owned) != len(handed) {
		h.w.t.Errorf("%s: has %v, and hands out of %v", after, owned, handed)
	}
}

// owned are the host's blocks as the store says.
func (h *host) owned() map[string]bool {
	h.w.t.Helper()
	blocks := make(map[string]bool)
	for _, b := range h.list().Blocks {
		if b.Node == h.name {
			blocks[b.Prefix.String()] = true
		}
	}
	return blocks
}

// handed are those out of which host-local may hand out.
func (h *host) handed() map[string]bool {
	h.w.t.Helper()
	blocks := make(map[string]bool)
	if h.command("test", "-e", "/run/cni/blocks/pods.json").Run() != nil {
		return blocks
	}
	for _, r := range h.ranges() {
		blocks[r.Subnet.String()] = true
	}
	return blocks
}
