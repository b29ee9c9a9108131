package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// plants are what somebody may have put in the place of a file.
var plants = map[string]func(path, victim string) error{
	"symbolic-link":  func(path, victim string) error { return os.Symlink(victim, path) },
	"dangling-link":  func(path, victim string) error { return os.Symlink(victim+"-to-come", path) },
	"link-to-itself": func(path, _ string) error { return os.Symlink(path, path) },
	"endless":        func(path, _ string) error { return os.Symlink("/dev/zero", path) },
	"hard-link":      func(path, victim string) error { return os.Link(victim, path) },
	"pipe":           func(path, _ string) error { return unix.Mkfifo(path, 0o600) },
	"socket":         func(path, _ string) error { return unix.Mknod(path, unix.S_IFSOCK|0o600, 0) },
	"folder":         func(path, _ string) error { return os.MkdirAll(path+"/in it", 0o700) },
}

// plantedAt are the places: locks, memories, the files of reservations and our index of them, results, configurations, lists, namespaces.
var plantedAt = []string{
	"/run/cni/trestle/owners.lock", "/run/cni/trestle/br0.lock", "/run/cni/trestle/nftables.lock", "/run/cni/trestle/nftables.seen", "/run/cni/trestle/frames.seen",
	"/run/cni/trestle/iptables.lock", "/run/cni/trestle/net.reservations", "/run/cni/trestle/net.backups", "/run/cni/trestle/devices",
	"/var/lib/cni/networks/net/lock", "/var/lib/cni/networks/net/last_reserved_ip.0", "/var/lib/cni/networks/net/10.1.0.3", "/var/lib/cni/networks/net/10.1.0.9",
	"/var/lib/cni/networks/.trestle/net", "/var/lib/cni/networks/.trestle/net~", "/var/lib/cni/results/net-c9-eth0", "/var/lib/cni/results/net-c1-eth0",
	"/etc/cni/net.d/50-x.conflist", "/etc/cni/tuning/allowlist.conf", "/run/netns/planted", "/run/cni/tuning/c1_eth0.json", "/run/cni/tuning/c1_eth0.json.half",
}

// TestPlantedEverywhere has each of these at each of the places while a container comes and goes and an operator looks. Nobody waits, nothing is written to
// somebody else's file, who fails says what is in the way, and once that is gone a DEL leaves nothing.
func TestPlantedEverywhere(t *testing.T) {
	t.Parallel()
	for kind, plant := range plants {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				s := settle(t, 1, "udp")
				nstest.Namespace(t, "c1")
				s.visits("c1")
				before := snapshot.Take(t, netnsDir+"c1")
				for _, path := range plantedAt {
					top := mountOf(path)
					victim, aside := top+"/victim", top+"/aside" // what is linked and renamed stays on one file system
					must(t, os.WriteFile(victim, []byte("precious"), 0o600))
					must(t, os.MkdirAll(filepath.Dir(path), 0o755))
					missing := os.Rename(path, aside)
					must(t, plant(path, victim))
					s.visited(path)
					if text, err := os.ReadFile(victim); string(text) != "precious" || err != nil {
						t.Errorf("%s: the other's file has %q, %v", path, text, err)
					}
					if _, err := os.Lstat(victim + "-to-come"); err == nil {
						t.Errorf("%s: a file was made at the other end of the link", path)
					}
					must(t, os.RemoveAll(path))
					if missing == nil {
						must(t, os.Rename(aside, path))
					}
					if out, err := s.ends("DEL", "c1"); err != nil {
						t.Fatalf("%s: DEL with nothing in the way any more: %v: %s", path, err, out)
					}
					if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1")); diff != "" {
						t.Fatalf("%s: left:\n%s", path, diff)
					}
				}
			})
		})
	}
}

// mountOf is the file system of the host's own that the path is on.
func mountOf(path string) string {
	for _, top := range []string{"/var/lib", "/etc/cni"} {
		if strings.HasPrefix(path, top) {
			return top
		}
	}
	return "/run"
}

// visitor is a network with what has files: reservations, rules, settings that were others.
const visitor = `{"cniVersion": "1.1.0", "name": "net", "type": "trestle", "plugins": [
	{"type": "bridge", "bridge": "br0", "isDefaultGateway": true, "ipMasq": true, "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/16"}]]}},
	{"type": "tuning", "mtu": 1400}]}`

// visits has a container come and go, for which nothing may be in the way.
func (s *settled) visits(container string) {
	s.Helper()
	for _, verb := range []string{"ADD", "DEL"} {
		if out, err := s.ends(verb, container); err != nil {
			s.Fatalf("%s with nothing in the way: %v: %s", verb, err, out)
		}
	}
}

// visited has it come and go with something at the path, and somebody look.
func (s *settled) visited(path string) {
	s.Helper()
	for _, verb := range []string{"ADD", "GC", "DEL"} {
		out, err := s.ends(verb, "c1")
		if err != nil && !bytes.Contains(out, []byte(path)) && !strings.Contains(string(out), fmt.Sprint(`"code": `, fault.Internal)) {
			s.Errorf("%s: %s: %v: %s", path, verb, err, out)
		}
	}
	for _, words := range []string{"doctor --conf-dir /etc/cni/net.d", "gc"} {
		if out, err := s.ends(strings.Fields(words)...); err != nil && bytes.Contains(out, []byte("goroutine")) {
			s.Errorf("%s: trestle %s: %v: %s", path, words, err, out)
		}
	}
}

// ends runs a verb for a container, or a command of the tool, which is to end by itself.
func (s *settled) ends(words ...string) ([]byte, error) {
	s.Helper()
	ctx, stop := context.WithTimeout(s.Context(), 2*soon())
	defer stop()
	cmd := exec.CommandContext(ctx, filepath.Join(os.Getenv(pluginsVar), "trestle"), words...)
	if strings.ToUpper(words[0]) == words[0] {
		cmd = exec.CommandContext(ctx, cmd.Path)
		cmd.Env = []string{"CNI_COMMAND=" + words[0], "CNI_CONTAINERID=" + words[1], "CNI_NETNS=" + netnsDir + words[1], "CNI_IFNAME=eth0", "CNI_PATH=" + os.Getenv(pluginsVar)}
		cmd.Stdin = strings.NewReader(strings.Replace(visitor, "{", `{"cni.dev/valid-attachments": [{"containerID": "c0", "ifname": "eth0"}, {"containerID": "c1", "ifname": "eth0"}], `, 1))
	}
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		s.Errorf("%v: did not end", words)
	}
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		s.Errorf("%v: %v", words, err)
	}
	return out, err
}
