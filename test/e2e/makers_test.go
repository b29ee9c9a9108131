package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// made are networks by what makes the interface: of one address, so that who did not give it back is seen.
var made = map[string]string{
	"bridge":      network(`"isGateway": true, "ipMasq": true, ` + hostLocal(`{"subnet": "10.1.0.0/30"}`)),
	"ptp":         network(`"type": "ptp", "ipMasq": true, ` + hostLocal(`{"subnet": "10.1.0.0/30"}`)),
	"macvlan":     network(`"type": "macvlan", "master": "lan0", ` + hostLocal(`{"subnet": "10.1.0.0/30"}`)),
	"host-device": network(`"type": "host-device", "device": "dev0", ` + hostLocal(`{"subnet": "10.1.0.0/30"}`)),
}

// inHost runs a test of a table in a host of its own.
func inHost(t *testing.T, name string, f func(*testing.T)) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		nstest.Run(t, f)
	})
}

// TestExchangedMakerOfTheHost leads the DEL of a network whose maker was exchanged to the host's own namespace: what is there of the attachment goes, and a second one is told of its
// mistake, by whichever plugin.
func TestExchangedMakerOfTheHost(t *testing.T) {
	t.Parallel()
	for from := range made {
		for _, to := range []string{"macvlan", "ipvlan", "vlan", "dummy", "ptp"} {
			if from == to || from == "macvlan" { // nothing of that is on the host
				continue
			}
			inHost(t, from+" "+to, func(t *testing.T) {
				shell(t, wireAndDevice)
				for _, name := range []string{"c0", "c1"} {
					nstest.Namespace(t, name)
				}
				succeed(t, "ADD", from, "c0", made[from])
				succeed(t, "DEL", from, "c0", made[from])
				before := snapshot.Take(t)
				succeed(t, "ADD", from, "c1", made[from])
				changed := strings.Replace(made[from], `"type": "`+from, `"type": "`+to, 1)
				succeed(t, "DEL", to, "c1", changed, "CNI_NETNS=/proc/self/ns/net")
				if diff := snapshot.Diff(before, snapshot.Take(t)); diff != "" {
					t.Errorf("%s, then DEL by %s left\n%s", from, to, diff)
				}
				again, err := invoke("DEL", to, "c1", changed, "CNI_NETNS=/proc/self/ns/net")
				if must(t, err); again.Code != fault.Namespace {
					t.Errorf("%s, then DEL by %s twice: code %d %s, want %d", from, to, again.Code, again.Msg, fault.Namespace)
				}
			})
		}
	}
}

// TestMakersOfOthers has another suite's plugins in CNI_PATH beside ours. They are not asked for anything of ours where nothing is known of it, and so nothing fails, and nobody's
// addresses go; where something is known of it, that is an error which names them, and the address is kept.
func TestMakersOfOthers(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		shell(t, wireAndDevice)
		bin := t.TempDir()
		must(t, os.Symlink(filepath.Join(os.Getenv(pluginsVar), "host-local"), bin+"/host-local"))
		for _, name := range []string{"ptp", "bridge", "host-device"} {
			must(t, os.Symlink("/usr/lib/cni/"+name, bin+"/"+name))
		}
		path := "CNI_PATH=" + bin
		for _, name := range []string{"c1", "c2"} {
			nstest.Namespace(t, name)
		}
		wire := made["macvlan"]
		bare := network(`"type": "macvlan", "master": "lan0", "bridge": ""`)
		for _, config := range []string{wire, bare} {
			succeed(t, "ADD", "macvlan", "c1", config, path)
			for _, list := range []string{"", `"cni.dev/valid-attachments": [{"containerID": "c1", "ifname": "eth0"}], `} {
				succeed(t, "GC", "macvlan", "c1", strings.Replace(config, "{", "{"+list, 1), path)
			}
			if config == wire {
				taken, err := invoke("ADD", "macvlan", "c2", config, path)
				if must(t, err); taken.Code != fault.Exhausted {
					t.Errorf("after a GC to which all are valid: code %d %s, want %d", taken.Code, taken.Msg, fault.Exhausted)
				}
			}
			succeed(t, "DEL", "macvlan", "c1", config, path, "CNI_NETNS=")
			succeed(t, "DEL", "macvlan", "c1", config, path)
		}
		succeed(t, "ADD", "bridge", "c1", made["bridge"])
		failed, err := invoke("DEL", "macvlan", "c1", wire, path)
		if must(t, err); failed.Status == 0 || !strings.Contains(failed.Msg, "ptp") {
			t.Errorf("where only another suite's could: code %d %s", failed.Code, failed.Msg)
		}
		taken, err := invoke("ADD", "macvlan", "c2", wire, path)
		if must(t, err); taken.Code != fault.Exhausted {
			t.Errorf("before all of it is gone: code %d %s, want %d", taken.Code, taken.Msg, fault.Exhausted)
		}
		succeed(t, "DEL", "macvlan", "c1", wire)
		succeed(t, "ADD", "macvlan", "c2", wire, path)
	})
}

// TestStrangersInterface deletes, with each plugin, after an ADD that was refused: the container has the interface from somebody else. It stays as it is, and so does lo, whoever brought it up.
func TestStrangersInterface(t *testing.T) {
	t.Parallel()
	for _, plugin := range []string{"macvlan", "ipvlan", "vlan", "tap", "dummy", "host-device", "bridge"} {
		inHost(t, plugin, func(t *testing.T) {
			shell(t, wireAndDevice)
			nstest.Namespace(t, "c1")
			shell(t, `ip link add strange type veth peer name eth0 netns c1; ip -n c1 addr add 10.9.0.2/24 dev eth0; ip -n c1 link set eth0 up
ip -n c1 link set lo up; ip -n c1 link set lo alias "$1"`, owner.Of("net", "c1", "lo").Tag(owner.AliasRoom))
			before := snapshot.Take(t, netnsDir+"c1")
			config := network(`"type": "` + plugin + `", "bridge": "", "master": "lan0", "device": "dev0", "vlanId": 5, ` + hostLocal(subnet))
			if plugin == "bridge" {
				config = network(hostLocal(subnet))
			}
			refused, err := invoke("ADD", plugin, "c1", config)
			if must(t, err); refused.Status == 0 {
				t.Fatalf("%s: ADD of an interface that is there: %s", plugin, refused.Out)
			}
			for _, name := range []string{"eth0", "lo"} {
				succeed(t, "DEL", plugin, "c1", config, "CNI_IFNAME="+name)
			}
			if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1")); diff != "" {
				t.Errorf("%s: DEL changed\n%s", plugin, diff)
			}
		})
	}
}

// TestPluginThatIsGone deletes, and collects, by a list that has lost a plugin which is not in CNI_PATH any more either. One that knows all of the packet filter stands in for it; without
// such a one the DEL says what it needs, and keeps the address.
func TestPluginThatIsGone(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		shell(t, wireAndDevice)
		wire, bin := made["macvlan"], t.TempDir()
		keep := func(name string) {
			must(t, os.Symlink(filepath.Join(os.Getenv(pluginsVar), name), filepath.Join(bin, name)))
		}
		keep("host-local")
		for _, name := range []string{"c0", "c1"} {
			nstest.Namespace(t, name)
		}
		add := func(container string) {
			result := succeed(t, "ADD", "macvlan", container, wire)
			ports := `, "runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}, "prevResult": ` + string(result.Out) + `}`
			succeed(t, "ADD", "portmap", container, strings.Replace(strings.TrimSuffix(wire, "}"), "macvlan", "portmap", 1)+ports)
		}
		add("c0")
		for _, plugin := range []string{"portmap", "macvlan"} {
			succeed(t, "DEL", plugin, "c0", wire)
		}
		before := snapshot.Take(t, netnsDir+"c1")
		add("c1")
		for range 2 {
			failed, err := invoke("DEL", "macvlan", "c1", wire, "CNI_PATH="+bin)
			if must(t, err); failed.Code != fault.Delegate || !strings.Contains(failed.Msg, "portmap: not found in CNI_PATH") {
				t.Errorf("with neither portmap nor who stands in for it: code %d %s", failed.Code, failed.Msg)
			}
		}
		keep("bridge")
		succeed(t, "DEL", "macvlan", "c1", wire, "CNI_PATH="+bin)
		if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1")); diff != "" {
			t.Errorf("with bridge DEL left\n%s", diff)
		}
		add("c1")
		succeed(t, "GC", "macvlan", "c1", strings.Replace(wire, "{", `{"cni.dev/valid-attachments": [], `, 1), "CNI_PATH="+bin)
		succeed(t, "DEL", "macvlan", "c1", wire, "CNI_PATH="+bin)
		add("c1")
		for _, plugin := range []string{"portmap", "macvlan"} {
			succeed(t, "DEL", plugin, "c1", wire)
		}
		if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1")); diff != "" {
			t.Errorf("with bridge GC left\n%s", diff)
		}
	})
}
