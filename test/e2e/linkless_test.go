package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/reference"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// TestLinkRemoved removes the host link of a container that lives. It is broken, and nobody calls it dead: gc takes nothing of it, repair publishes nothing
// for an address that nobody answers at, and the next container gets another address. So it is with the runtime's result gone, by what host-local knows.
func TestLinkRemoved(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{"ours": os.Getenv(pluginsVar), "the-reference's": reference.Debian.Dir} {
		for _, remembered := range []bool{true, false} {
			if !remembered && dir == reference.Debian.Dir {
				continue // of such a one nothing is known but that somebody has its address
			}
			t.Run(fmt.Sprintf("%s/remembered=%v", name, remembered), func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) { linkRemoved(t, dir, remembered) })
			})
		}
	}
}

func linkRemoved(t *testing.T, dir string, remembered bool) {
	s := settledBy(t, dir, strings.ReplaceAll(adopted["all"], "%s", ""))
	must(t, netlink.LinkDel(s.hostEnd(s.name(0))))
	if !remembered {
		must(t, os.Remove("/var/lib/cni/results/net-c0-eth0"))
	}
	before := snapshot.Take(t)
	if out := s.tool("gc", "--yes"); strings.Contains(out, "c0") {
		t.Errorf("gc: %s", out)
	}
	if diff := snapshot.Diff(before, snapshot.Take(t)); diff != "" {
		t.Errorf("gc removed of the living:\n%s", diff)
	}
	s.state("c0", map[bool]string{true: "broken", false: "half"}[remembered])
	for _, f := range s.findings() {
		if strings.Contains(f.Remedy, "gc") && remembered || strings.HasPrefix(f.ID, "leaked") {
			t.Errorf("doctor: %+v", f)
		}
	}
	flush(t)
	out, err := s.try("repair")
	if remembered && err == nil || strings.Contains(out, "c0/eth0: portmap: made again: published ports") {
		t.Errorf("repair: %v\n%s", err, out)
	}
	s.container("new")
	s.serve("new", "udp", ":7")
	run := s.runtime(0)
	run.ContainerID, run.NetNS, run.CapabilityArgs = "new", netnsDir+"new", nil
	ours := s.ours()
	_, err = ours.AddNetworkList(t.Context(), s.list, run)
	must(t, err)
	s.waits = silence
	if s.hears(outsider, "udp", "192.0.2.1:20000", "new") {
		t.Error("a stranger gets what is sent to the port")
	}
	s.waits = 0
	if !s.hears(outsider, "udp", "192.0.2.1:20001", "c1") {
		t.Error("its neighbour was not mended")
	}
	for _, i := range []int{0, 1} {
		must(t, ours.DelNetworkList(t.Context(), s.list, s.runtime(i)))
	}
}

// hostEnd is the other end of the container's eth0.
func (s *settled) hostEnd(container string) netlink.Link {
	s.Helper()
	var index int
	must(s.T, in(container, func() error {
		link, err := netlink.LinkByName("eth0")
		if err == nil {
			index = link.Attrs().ParentIndex
		}
		return err
	}))
	link, err := netlink.LinkByIndex(index)
	must(s.T, err)
	return link
}

// try runs the operator's tool, which may fail.
func (s *settled) try(args ...string) (string, error) {
	out, err := exec.CommandContext(s.Context(), filepath.Join(os.Getenv(pluginsVar), "trestle"), args...).CombinedOutput()
	return string(out), err
}

// state wants ls to say it of the container.
func (s *settled) state(container, want string) {
	s.Helper()
	var answer struct {
		Attachments []struct {
			ContainerID, State string
			Why                []string
		}
	}
	must(s.T, json.Unmarshal([]byte(s.tool("ls", "--json")), &answer))
	for _, a := range answer.Attachments {
		if a.ContainerID == container && a.State != want {
			s.Errorf("ls: %s is %s (%v), want %s", container, a.State, a.Why, want)
		}
	}
}

// finding is one of doctor's.
type finding struct{ ID, Object, What, Remedy string }

// findings are doctor's.
func (s *settled) findings() (list []finding) {
	s.Helper()
	must(s.T, os.MkdirAll("/etc/cni/net.d", 0o755))
	cmd := exec.CommandContext(s.Context(), filepath.Join(os.Getenv(pluginsVar), "trestle"), "doctor", "--json")
	out, err := cmd.Output()
	var status *exec.ExitError
	if err != nil && (!errors.As(err, &status) || status.ExitCode() > 2) {
		s.Fatalf("doctor: %v\n%s", err, out)
	}
	var answer struct{ Findings []finding }
	must(s.T, json.Unmarshal(out, &answer))
	return answer.Findings
}
