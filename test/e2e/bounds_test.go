package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// TestGoesRound names as address plugins such as give no addresses, by their own names, by others, and through a plugin of somebody else. No verb may
// wait for itself nor call itself without end, and a DEL succeeds.
func TestGoesRound(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		must(t, os.Setenv("PATH", os.Getenv(toolsVar)))
		nstest.Namespace(t, "c1")
		delegate("through", `exec `+os.Getenv(pluginsVar)+`/bridge`)(t)
		must(t, os.Symlink(filepath.Join(os.Getenv(pluginsVar), "bridge"), "/run/plugins/again"))
		succeed(t, "GC", "bridge", "c1", network(`"cniVersion": "1.1.0", `+hostLocal(subnet))) // takes the ground along
		before := snapshot.Take(t, netnsDir+"c1")
		for _, kind := range []string{"bridge", "loopback", "portmap", "trestle", "macvlan", "again", "through"} {
			for _, verb := range []string{"ADD", "CHECK", "STATUS", "GC", "DEL"} {
				config := network(fmt.Sprintf(`"cniVersion": "1.1.0", "ipam": {"type": %q}, "plugins": [{"type": "bridge", "ipam": {"type": %q}}], "prevResult": %s`,
					kind, kind, `{"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.2/24"}]}`))
				for _, plugin := range []string{"bridge", "trestle"} {
					r, err := invoke(verb, plugin, "c1", config, "CNI_PATH="+os.Getenv(pluginsVar)+":/run/plugins")
					must(t, err)
					switch {
					case verb == "DEL" && r.Status != 0:
						t.Errorf("%s DEL with %s: %s", plugin, kind, r.Out)
					case verb != "DEL" && (r.Status != 1 || r.Code != fault.Config && verb != "CHECK"):
						t.Errorf("%s %s with %s: status %d %s, want code 7", plugin, verb, kind, r.Status, r.Out)
					}
				}
			}
		}
		if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1")); diff != "" {
			t.Errorf("left:\n%s", diff)
		}
	})
}

// TestForgetfulPlugin goes round through a plugin that clears the environment in which the callers are named. It ends after a few rounds, and not when the call's time is up.
func TestForgetfulPlugin(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		must(t, os.Setenv("PATH", os.Getenv(toolsVar)))
		nstest.Namespace(t, "c1")
		must(t, os.Mkdir("/run/plugins", 0o755))
		for _, plugin := range []string{"bridge", "ptp", "trestle"} {
			for name, way := range map[string]string{"in place": "exec ", "below": ""} {
				script := "#!/bin/sh\nunset TRESTLE_CALLERS\necho x >>/run/rounds\n" + way + os.Getenv(pluginsVar) + "/" + plugin + "\n"
				must(t, os.WriteFile("/run/plugins/forgets", []byte(script), 0o755))
				for _, verb := range []string{"STATUS", "GC", "CHECK"} {
					config := network(`"type": "` + plugin + `", "ipam": {"type": "forgets"}, "plugins": [{"type": "bridge", "ipam": {"type": "forgets"}}], "prevResult": {"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.2/24"}]}`)
					r, err := invoke(verb, plugin, "c1", config, "CNI_PATH=/run/plugins")
					must(t, err)
					rounds, _ := os.ReadFile("/run/rounds")
					if r.Status != 1 || r.Code == fault.TryLater || len(rounds) > 2*20 {
						t.Errorf("%s of %s, %s: %d rounds, status %d: %s", verb, plugin, name, len(rounds)/2, r.Status, r.Out)
					}
					_ = os.Remove("/run/rounds") // where nobody was asked it is not there
				}
			}
		}
	})
}

// TestLockInTheWay has what is no plain file in the place of each lock: the error's details say what to do.
func TestLockInTheWay(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		must(t, os.Setenv("PATH", os.Getenv(toolsVar)))
		nstest.Namespace(t, "c1")
		config := network(`"isGateway": true, "ipMasq": true, ` + hostLocal(subnet))
		succeed(t, "ADD", "bridge", "c1", config)
		succeed(t, "DEL", "bridge", "c1", config)
		for _, lock := range []string{"/run/cni/trestle/owners.lock", "/run/cni/trestle/cni0.lock", "/var/lib/cni/networks/net/lock"} {
			for _, kind := range []string{"symbolic-link", "folder", "socket"} {
				must(t, os.RemoveAll(lock))
				must(t, plants[kind](lock, "/run/victim"))
				r, err := invoke("ADD", "bridge", "c1", config)
				must(t, err)
				if r.Status != 1 || !strings.Contains(r.Msg, lock) || r.Details != "remove it: a plain file is to be there, and is made" {
					t.Errorf("%s in the place of %s: status %d: %s", kind, lock, r.Status, r.Out)
				}
				must(t, os.RemoveAll(lock))
				succeed(t, "DEL", "bridge", "c1", config)
			}
		}
	})
}

// TestAskedByEach has each plugin that asks for addresses name each that gives none, itself among them. Nobody waits for himself nor is called without end:
// what is refused is refused at once, and a DEL succeeds.
func TestAskedByEach(t *testing.T) {
	t.Parallel()
	for plugin, keys := range map[string]string{"bridge": "", "ptp": "", "macvlan": `"master": "up0", `, "ipvlan": `"master": "up0", `,
		"vlan": `"master": "up0", "vlanId": 5, `, "tap": "", "dummy": "", "host-device": `"device": "dev0", `} {
		t.Run(plugin, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				must(t, os.Setenv("PATH", os.Getenv(toolsVar)))
				nstest.Namespace(t, "c1")
				for _, name := range []string{"up0", "dev0"} {
					must(t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}))
				}
				entries, err := os.ReadDir(os.Getenv(pluginsVar))
				must(t, err)
				before := snapshot.Take(t, netnsDir+"c1")
				for _, e := range entries {
					if !slices.Contains([]string{"host-local", "static", "dhcp", "trestle-node"}, e.Name()) { // which give some, or are no plugin
						asked(t, plugin, fmt.Sprintf(`%s"type": %q, "ipam": {"type": %q}, "prevResult": {"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.2/24"}]}`, keys, plugin, e.Name()))
					}
				}
				if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1")); diff != "" {
					t.Errorf("left:\n%s", diff)
				}
			})
		})
	}
}

// asked makes each call, by itself and in a list.
func asked(t *testing.T, plugin, keys string) {
	t.Helper()
	for _, called := range []string{plugin, "trestle"} {
		config := network(keys)
		if called == "trestle" {
			config = network(`"type": "trestle", "plugins": [{` + keys + `}]`)
		}
		for _, verb := range []string{"ADD", "CHECK", "STATUS", "GC", "DEL"} {
			r, err := invoke(verb, called, "c1", config)
			must(t, err)
			if verb == "DEL" && r.Status != 0 || verb != "DEL" && (r.Status != 1 || r.Code == fault.TryLater || r.Code == fault.Internal) {
				t.Errorf("%s %s of {%s}: status %d: %s", called, verb, keys, r.Status, r.Out)
			}
		}
	}
}

// TestNestedLists has lists in lists, by the plugin's own name, by another, and through a plugin of somebody else that calls itself first. Each is refused where it
// would go round, a DEL succeeds, and the tool, which finds such a list among the configurations and the results, ends.
func TestNestedLists(t *testing.T) {
	t.Parallel()
	for name, list := range map[string]string{
		"one":    `{"type": "trestle", "plugins": [{"type": "loopback"}]}`,
		"three":  `{"type": "trestle", "plugins": [{"type": "trestle", "plugins": [{"type": "trestle", "plugins": [{"type": "loopback"}]}]}]}`,
		"beside": `{"type": "loopback"}, {"type": "trestle", "plugins": [{"type": "trestle"}]}`,
		"named":  `{"type": "again", "plugins": [{"type": "trestle", "plugins": [{"type": "again", "plugins": [{"type": "loopback"}]}]}]}`,
		"asked":  `{"type": "bridge", "bridge": "br0", "ipam": {"type": "again"}, "plugins": [{"type": "trestle"}]}`,
		"deep":   strings.Repeat(`{"type": "trestle", "plugins": [`, 2000) + strings.Repeat(`]}`, 2000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				s := settle(t, 1, "udp")
				must(t, os.MkdirAll("/run/plugins", 0o755))
				must(t, os.WriteFile("/run/plugins/again", []byte("#!/bin/sh\n[ \"$1\" = x ] && exec "+os.Getenv(pluginsVar)+"/trestle; exec \"$0\" x\n"), 0o755))
				must(t, os.MkdirAll("/etc/cni/net.d", 0o755))
				nstest.Namespace(t, "c1")
				config := network(`"type": "trestle", "plugins": [` + list + `], "prevResult": {"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.2/24"}]}`)
				must(t, os.WriteFile("/etc/cni/net.d/10-nested.conflist", []byte(`{"cniVersion": "1.1.0", "name": "nested", "plugins": [`+list+`]}`), 0o644))
				s.remembered("nested", list)
				before := snapshot.Take(t, netnsDir+"c1")
				for _, verb := range []string{"ADD", "CHECK", "STATUS", "GC", "DEL"} {
					r, err := invoke(verb, "trestle", "c1", config, "CNI_PATH="+os.Getenv(pluginsVar)+":/run/plugins")
					must(t, err)
					if verb == "DEL" && r.Status != 0 || verb != "DEL" && (r.Status != 1 || r.Code == fault.TryLater || r.Code == fault.Internal) {
						t.Errorf("%s: status %d: %.1000s", verb, r.Status, r.Out)
					}
				}
				for _, words := range []string{"ls", "doctor", "gc", "repair", "lint", "show c0", "graph"} {
					if out, err := s.try(strings.Fields(words)...); err != nil && strings.Contains(out, "goroutine") {
						t.Errorf("trestle %s: %v: %.1000s", words, err, out)
					}
				}
				if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1")); diff != "" {
					t.Errorf("left:\n%s", diff)
				}
			})
		})
	}
}

// remembered has the runtime remember c0 on another network, too, which has the list.
func (s *settled) remembered(network, list string) {
	s.Helper()
	const results = "/var/lib/cni/results/"
	text, err := os.ReadFile(results + "net-c0-eth0")
	must(s.T, err)
	var entry map[string]any
	must(s.T, json.Unmarshal(text, &entry))
	entry["networkName"], entry["ifName"], entry["config"] = network, "eth1", fmt.Appendf(nil, `{"cniVersion": "1.1.0", "name": %q, "plugins": [%s]}`, network, list)
	text, err = json.Marshal(entry)
	must(s.T, err)
	must(s.T, os.WriteFile(results+network+"-c0-eth1", text, 0o600))
}

// TestEndsAtOnce wants STATUS and GC to end when they are asked to, although the plugin that they wait for has not said a word.
func TestEndsAtOnce(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		must(t, os.Setenv("PATH", os.Getenv(toolsVar)))
		must(t, unix.Mkfifo("/run/asked", 0o600))
		must(t, unix.Mkfifo("/run/never", 0o600))
		delegate("slow", `echo now >/run/asked; read answer </run/never`)(t)
		for _, verb := range []string{"STATUS", "GC", "CHECK"} {
			nstest.Namespace(t, verb)
			var out strings.Builder
			cmd := exec.Command(os.Getenv(pluginsVar) + "/bridge")
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "CNI_COMMAND=" + verb, "CNI_PATH=/run/plugins",
				"CNI_CONTAINERID=c1", "CNI_NETNS=" + netnsDir + verb, "CNI_IFNAME=eth0"}
			cmd.Stdin = strings.NewReader(network(`"cniVersion": "1.1.0", "ipam": {"type": "slow"}, "prevResult": {"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.2/24"}]}`))
			cmd.Stdout = &out
			must(t, cmd.Start())
			if _, err := os.ReadFile("/run/asked"); err != nil { // comes back when the delegate has written
				t.Fatal(err)
			}
			must(t, cmd.Process.Signal(unix.SIGTERM))
			var got reply
			if err := cmd.Wait(); err == nil {
				t.Errorf("%s: ended, and reports success", verb)
			}
			if must(t, json.Unmarshal([]byte(out.String()), &got)); got.Code != fault.Interrupted {
				t.Errorf("%s: code %d: %s, want %d", verb, got.Code, got.Msg, fault.Interrupted)
			}
		}
	})
}

// TestLargeInput sends each plugin as much as it takes, and a byte more.
func TestLargeInput(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		must(t, os.Setenv("PATH", os.Getenv(toolsVar)))
		nstest.Namespace(t, "c1")
		for _, plugin := range []string{"bridge", "ptp", "host-local", "static", "loopback", "portmap", "trestle"} {
			config := network(`"cniVersion": "1.1.0", "type": "` + plugin + `", "plugins": [{"type": "loopback"}]`)
			fits := config + strings.Repeat(" ", plainfile.Most-len(config))
			succeed(t, "DEL", plugin, "c1", fits)
			for _, verb := range []string{"ADD", "DEL", "CHECK", "GC", "STATUS"} {
				if got, err := invoke(verb, plugin, "c1", fits+" "); err != nil || got.Code != fault.IO || !strings.Contains(got.Msg, "more than 16 MiB") {
					t.Errorf("%s of %s with a byte too many: %v, code %d: %s", verb, plugin, err, got.Code, got.Msg)
				}
			}
		}
	})
}
