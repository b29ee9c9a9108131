package hostlocal

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/test/nstest"
)

const slash24 = `"subnet": "10.1.0.0/24"`

// host is a data directory in a host that can be rebooted: the kernel's boot id is a file of the test.
type host struct {
	*testing.T
	dir   string
	boots int
}

func newHost(t *testing.T) *host {
	h := &host{T: t, dir: "/run/net"}
	must(t, os.WriteFile("/run/boot_id", nil, 0o600))
	must(t, unix.Mount("/run/boot_id", "/proc/sys/kernel/random/boot_id", "", unix.MS_BIND, ""))
	h.reboot()
	return h
}

func (h *host) reboot() {
	h.boots++
	must(h, os.WriteFile("/run/boot_id", fmt.Appendf(nil, "%08d-0000-4000-8000-000000000000\n", h.boots), 0o600))
}

// call is a call for a container in a network namespace.
func (h *host) call(command, id, netns, ipam string) answer {
	h.Helper()
	c := call{command: command, id: id, config: network("1.1.0", ipam), dir: h.dir}
	var out, log bytes.Buffer
	env := plugin.Environment(c.environ())
	if netns != "" {
		env["CNI_NETNS"] = netns
	}
	status := plugin.Run(h.Context(), Plugin(), env, plugin.Streams{In: strings.NewReader(c.stdin()), Out: &out, Err: &log})
	return answer{status: status, out: out.String(), log: log.String()}
}

// fill makes an ADD for each address of the /24.
func (h *host) fill(netns string) {
	h.Helper()
	for i := range 253 {
		if a := h.call("ADD", fmt.Sprintf("old%d", i), netns, slash24); a.status != 0 {
			h.Fatal(a.out)
		}
	}
}

// A range full of the dead has room for the living: the next ADD succeeds, and says whose addresses it took and why.
func TestFullOfTheDead(t *testing.T) {
	for _, c := range []struct {
		name, proof string
		die         func(h *host, netns string)
	}{
		{"reboot", "made in an earlier boot", func(h *host, _ string) { h.reboot() }},
		{"namespaces gone", "its network namespace is gone", func(h *host, netns string) { nstest.Remove(h, netns) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			nstest.Run(t, func(t *testing.T) {
				h := newHost(t)
				netns := nstest.Namespace(t, "old")
				h.fill(netns)
				c.die(h, netns)
				if a := h.call("STATUS", "x", "", slash24+`, "statusWhenFull": "error"`); a.status != 0 {
					t.Errorf("STATUS: %s", a.out)
				}
				a := h.call("ADD", "new", nstest.Namespace(t, "new"), slash24)
				if a.status != 0 || !strings.Contains(a.log, "trestle host-local: reclaimed 10.1.0.2 from old0/eth0: "+c.proof+"\n") {
					t.Fatalf("ADD: %s, log %.300s", a.out, a.log)
				}
				if n := strings.Count(a.log, "\n"); n != 253 || len(reservations(t, h.dir)) != 1 {
					t.Errorf("%d lines of log, left %v", n, reservations(t, h.dir))
				}
				if b := h.call("ADD", "newer", "", slash24); b.status != 0 || b.log != "" {
					t.Errorf("the ADD after: %s, log %s", b.out, b.log)
				}
			})
		})
	}
}

// The living keep theirs, however full the range is.
func TestFullOfTheLiving(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		h := newHost(t)
		h.fill(nstest.Namespace(t, "old"))
		before := tree(t, h.dir)
		a := h.call("ADD", "new", "", slash24)
		if want := "range set 10.1.0.1-10.1.0.254: no address is free"; a.code(t) != 101 || a.addrs(t) != want || !strings.Contains(a.out, "widen the range") {
			t.Errorf("ADD: %s, want code 101, %q and a remedy", a.out, want)
		}
		if a := h.call("GC", "", "", slash24); a.status != 0 || a.log != "" {
			t.Errorf("GC: %s %s", a.out, a.log)
		}
		if a := h.call("STATUS", "x", "", slash24+`, "statusWhenFull": "error"`); a.code(t) != 50 {
			t.Errorf("STATUS: %s, want code 50", a.out)
		}
		if diff := cmp.Diff(before, tree(t, h.dir)); diff != "" {
			t.Errorf("the directory changed:\n%s", diff)
		}
	})
}

// A GC without a list takes from the provably dead and from nobody else.
func TestGCWithoutAList(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		h := newHost(t)
		h.call("ADD", "rebooted", "", slash24) // .2
		must(t, os.WriteFile(filepath.Join(h.dir, "net", "10.1.0.99"), []byte("theirs\r\neth0"), 0o600))
		h.reboot()
		gone := nstest.Namespace(t, "gone")
		h.call("ADD", "gone", gone, slash24)                             // .3
		h.call("ADD", "alive", nstest.Namespace(t, "alive"), slash24)    // .4
		h.call("ADD", "unknown", "/run/netns/nothing-was-here", slash24) // .5
		nstest.Remove(t, gone)
		if a := h.call("GC", "", "", slash24+`, "reclaim": false`); a.status != 0 || len(reservations(t, h.dir)) != 5 {
			t.Errorf("GC with reclaim off: %s, left %v", a.out, reservations(t, h.dir))
		}
		a := h.call("GC", "", "", slash24)
		want := "trestle host-local: reclaimed 10.1.0.2 from rebooted/eth0: made in an earlier boot\n" +
			"trestle host-local: reclaimed 10.1.0.3 from gone/eth0: its network namespace is gone\n"
		if diff := cmp.Diff(want, a.log); diff != "" {
			t.Errorf("GC: %s, log (-want +got):\n%s", a.out, diff)
		}
		h.reboot()
		if a := h.call("GC", "", "", slash24); !strings.Contains(a.log, "reclaimed 10.1.0.99 from theirs/eth0: made in an earlier boot") {
			t.Errorf("the reference's reservation after another boot: %s, log %s", a.out, a.log)
		}
	})
}

// After a reboot an owner may come again, and a requested address of a dead one is to be had.
func TestSameOwnerAfterReboot(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		h := newHost(t)
		h.call("ADD", "ctr1", "", slash24)
		h.call("ADD", "ctr2", "", slash24)
		if a := h.call("ADD", "ctr1", "", slash24); a.code(t) != 100 {
			t.Errorf("second ADD in one boot: %s, want code 100", a.out)
		}
		h.reboot()
		if a := h.call("ADD", "ctr1", "", slash24+`, "reclaim": false`); a.code(t) != 100 {
			t.Errorf("ADD with reclaim off: %s, want code 100", a.out)
		}
		a := h.call("ADD", "ctr1", "", slash24)
		if a.addrs(t) != "10.1.0.4" || a.log != "trestle host-local: reclaimed 10.1.0.2 from ctr1/eth0: made in an earlier boot\n" {
			t.Errorf("ADD after the reboot: %s, log %s", a.addrs(t), a.log)
		}
		c := call{command: "ADD", id: "ctr3", args: "IP=10.1.0.3", config: network("1.1.0", slash24), dir: h.dir}
		if a := c.run(t); a.addrs(t) != "10.1.0.3" || !strings.Contains(a.log, "reclaimed 10.1.0.3 from ctr2/eth0") {
			t.Errorf("request for a dead one's address: %s, log %s", a.addrs(t), a.log)
		}
	})
}

// To somebody without power over it, a living namespace is stale. Such a one must not judge.
func TestStrangerDoesNotJudge(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		h := newHost(t)
		h.call("ADD", "ctr1", nstest.Namespace(t, "alive"), `"subnet": "10.1.0.0/30"`)
		c := call{command: "ADD", id: "ctr2", config: network("1.1.0", `"subnet": "10.1.0.0/30"`), dir: h.dir}
		exe, err := os.Executable()
		must(t, err)
		cmd := exec.CommandContext(t.Context(), exe)
		cmd.Env, cmd.Stdin = c.environ(), strings.NewReader(c.stdin())
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{Size: 1}}, GidMappings: []syscall.SysProcIDMap{{Size: 1}}}
		out, err := cmd.Output()
		if a := (answer{status: 1, out: string(out)}); err == nil || a.code(t) != 101 {
			t.Errorf("ADD in another user namespace: %s, %v, want code 101", out, err)
		}
		if left := reservations(t, h.dir); len(left) != 1 {
			t.Errorf("left: %v", left)
		}
	})
}

// A released address rests while another one is free, also when nobody remembers where the round was.
func TestCooldown(t *testing.T) {
	dir := t.TempDir()
	run := func(command, id, ipam string) string {
		return call{command: command, id: id, config: network("1.1.0", ipam), dir: dir}.run(t).addrs(t)
	}
	const small = `"subnet": "10.1.0.0/29"`
	run("ADD", "a", small)
	run("DEL", "a", small)
	must(t, os.Remove(filepath.Join(dir, "net", "last_reserved_ip.0")))
	got := []string{run("ADD", "b", small), run("ADD", "c", small), run("ADD", "d", small), run("ADD", "e", small), run("ADD", "f", small)}
	want := []string{"10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6", "10.1.0.2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("with a cooldown (-want +got):\n%s", diff)
	}
	run("DEL", "c", small)
	must(t, os.Remove(filepath.Join(dir, "net", "last_reserved_ip.0")))
	run("DEL", "b", small)
	if got := run("ADD", "g", small+`, "cooldown": 0`); got != "10.1.0.3" {
		t.Errorf("without a cooldown: %s, want 10.1.0.3", got)
	}
}

// Reservations outside the ranges of today are in nobody's way, and go with their containers.
func TestRangeShrank(t *testing.T) {
	dir := t.TempDir()
	var got []string
	for _, step := range []struct{ command, id, ipam string }{
		{"ADD", "a", slash24}, {"ADD", "b", slash24}, {"ADD", "c", `"subnet": "10.1.0.0/30"`}, {"ADD", "d", `"subnet": "10.7.0.0/30"`},
		{"DEL", "a", `"subnet": "10.7.0.0/30"`}, {"ADD", "e", `"subnet": "10.1.0.0/30"`},
	} {
		got = append(got, call{command: step.command, id: step.id, config: network("1.1.0", step.ipam), dir: dir}.run(t).addrs(t))
	}
	want := []string{"10.1.0.2", "10.1.0.3", "range set 10.1.0.1-10.1.0.2: no address is free", "10.7.0.2", "", "10.1.0.2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Two files for one owner, as a crash of the reference's dual-stack ADD or a person may leave them, go together.
func TestTwoFilesOfOneOwner(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "net"), 0o755))
	for _, name := range []string{"10.1.0.2", "10.1.0.9", "10.3.0.1", "fd00::9"} {
		must(t, os.WriteFile(filepath.Join(dir, "net", netip.MustParseAddr(name).String()), []byte("ctr1\r\neth0"), 0o600))
	}
	if a := (call{command: "DEL", config: network("1.1.0", slash24), dir: dir}).run(t); a.status != 0 {
		t.Errorf("DEL: %s", a.out)
	}
	if left := reservations(t, dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
