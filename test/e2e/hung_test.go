package e2e

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/site"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
	"github.com/trestle-cni/trestle/test/space"
)

// TestHungBeforeItsLink hangs an ADD that has its address and no link yet, so that no ledger of the kernel's knows of it. No GC, whatever its list, takes
// the address, which is the only one: the next container is refused, and the ADD, when it goes on, is whole. Then a GC takes both.
func TestHungBeforeItsLink(t *testing.T) {
	const one = `{"subnet": "10.1.0.0/30"}`
	for name, c := range map[string]struct{ plugin, config string }{
		"bridge":      {"bridge", network(hostLocal(one))},
		"ptp":         {"ptp", network(`"type": "ptp", ` + hostLocal(one))},
		"trestle":     {"trestle", network(`"type": "trestle", "plugins": [{"type": "bridge", "bridge": "cni0", ` + hostLocal(one) + `}]`)},
		"macvlan":     {"macvlan", network(`"type": "macvlan", "master": "lan0", ` + hostLocal(one))},
		"tap":         {"tap", network(`"type": "tap", "bridge": "", ` + hostLocal(one))},
		"host-device": {"host-device", network(`"type": "host-device", "device": "dev0", ` + hostLocal(one))},
		"dataDir":     {"bridge", network(`"ipam": {"type": "host-local", "dataDir": "/run/data", "ranges": [[` + one + `]]}`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.plugin == "tap" && !space.Tun() {
				return
			}
			nstest.Run(t, func(t *testing.T) {
				shell(t, wireAndDevice)
				goOn := hang(t, c.plugin, c.config)
				nstest.Namespace(t, "c2")
				for _, list := range []string{`"cni.dev/valid-attachments": [], `, `"cni.dev/attachments": null, `, "",
					`"cni.dev/valid-attachments": [{"containerID": "c2", "ifname": "eth0"}], `} {
					succeed(t, "GC", c.plugin, "c1", strings.Replace(c.config, "{", "{"+list, 1))
					next, err := invoke("ADD", c.plugin, "c2", c.config)
					if must(t, err); next.Code != fault.Exhausted {
						t.Errorf("ADD of the next container after a GC with %s: code %d %s, want %d", list, next.Code, next.Out, fault.Exhausted)
					}
				}
				goOn()
				succeed(t, "GC", c.plugin, "c1", strings.Replace(c.config, "{", `{"cni.dev/valid-attachments": [], `, 1))
				succeed(t, "ADD", c.plugin, "c2", c.config)
			})
		})
	}
}

// wireAndDevice makes what interfaces hang on, or are.
const wireAndDevice = `ip link add lan0 type veth peer name lan1; ip link set lan1 up; ip link set lan0 up
ip link add dev0 type veth peer name far0; ip link set far0 up; ip link set dev0 up`

// hungLists are lists of which the address is the only one.
var hungLists = map[string][]string{
	"macvlan, firewall":      {`"type": "macvlan", "master": "lan0"`, `"type": "firewall"`},
	"tap, portmap":           {`"type": "tap", "bridge": ""`, `"type": "portmap", "runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}`},
	"host-device, firewall":  {`"type": "host-device", "device": "dev0"`, `"type": "firewall", "backend": "iptables"`},
	"ptp, bandwidth, tuning": {`"type": "ptp", "ipMasq": true`, `"type": "bandwidth", "ingressRate": 8000000, "ingressBurst": 800000`, `"type": "tuning", "mtu": 1400`},
	"bridge, sbr, firewall":  {`"type": "bridge"`, `"type": "sbr"`, `"type": "firewall", "ingressPolicy": "isolated"`},
	"ptp, vrf":               {`"type": "ptp", "ipMasq": true, "ipMasqBackend": "iptables"`, `"type": "vrf", "vrfname": "red"`},
}

// TestHungOwner has somebody at work on an attachment for ever while GCs come to which nobody is valid: what they cannot undo keeps its address. When he is done, nothing is left.
func TestHungOwner(t *testing.T) {
	for name, list := range hungLists {
		if strings.HasPrefix(name, "tap") && !space.Tun() {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) { hungOwner(t, list) })
		})
	}
}

func hungOwner(t *testing.T, list []string) {
	shell(t, wireAndDevice)
	nstest.Namespace(t, "c1")
	nstest.Namespace(t, "c2")
	var configs []string
	for i, keys := range list {
		if i == 0 {
			keys += ", " + hostLocal(`{"subnet": "10.1.0.0/30"}`)
		}
		configs = append(configs, network(keys))
	}
	kind := func(i int) string { return strings.Split(list[i], `"`)[3] }
	before := snapshot.Take(t)
	var prev []byte
	for i, config := range configs {
		if prev != nil {
			config = previously(config, prev)
		}
		got, err := invoke("ADD", kind(i), "c1", config)
		if must(t, err); got.Code == fault.Unsupported {
			return // not with this kernel
		} else if got.Status != 0 {
			t.Fatalf("ADD %s: %s", kind(i), got.Msg)
		}
		prev = got.Out
	}
	s, err := site.Open(site.Options{})
	must(t, err)
	defer s.Close()
	lock, err := s.LockOwner(t.Context(), owner.Of("net", "c1", "eth0"))
	must(t, err)
	collect := func() {
		for i, config := range configs {
			_, err := invoke("GC", kind(i), "c1", strings.Replace(config, "{", `{"cni.dev/valid-attachments": [], `, 1))
			must(t, err)
		}
	}
	collect()
	if next, err := invoke("ADD", kind(0), "c2", strings.Replace(configs[0], "dev0", "far0", 1)); err != nil || next.Code != fault.Exhausted {
		t.Errorf("ADD of the next container: %v, code %d %s, want %d", err, next.Code, next.Out, fault.Exhausted)
	}
	lock.Unlock()
	for i := range slices.Backward(configs) {
		succeed(t, "DEL", kind(i), "c2", strings.Replace(configs[i], "dev0", "far0", 1))
	}
	collect()
	if kind(0) == "host-device" {
		succeed(t, "DEL", "host-device", "c1", configs[0])
	}
	shared := func(line string) bool {
		return !strings.Contains(line, "reservation") && !strings.Contains(line, "backup") && !strings.Contains(line, "10.1.0.2")
	}
	if diff := snapshot.Diff(snapshot.Without(before, shared), snapshot.Without(snapshot.Take(t), shared)); diff != "" {
		t.Errorf("left:\n%s", diff)
	}
}

// hang starts an ADD of c1 whose address plugin has reserved and does not come back, and returns what lets it go on, and waits for its success.
func hang(t *testing.T, plugin, config string) (goOn func()) {
	t.Helper()
	must(t, os.Setenv("PATH", os.Getenv(toolsVar)))
	must(t, unix.Mkfifo("/run/reserved", 0o600))
	must(t, unix.Mkfifo("/run/go", 0o600))
	real := os.Getenv(pluginsVar)
	delegate("host-local", `result=$(`+real+`/host-local) || exit; echo now >/run/reserved; read answer </run/go; echo "$result"`)(t)
	nstest.Namespace(t, "c1")
	cmd := exec.Command(real + "/" + plugin)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "CNI_COMMAND=ADD", "CNI_PATH=/run/plugins", "CNI_CONTAINERID=c1", "CNI_NETNS=" + netnsDir + "c1", "CNI_IFNAME=eth0"}
	var out strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(config), &out, os.Stderr
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		if file, err := os.OpenFile("/run/reserved", os.O_WRONLY|unix.O_NONBLOCK, 0); err == nil { // somebody waits for it in vain
			file.Close()
		}
	}()
	if said, err := os.ReadFile("/run/reserved"); err != nil || len(said) == 0 { // comes back when the address is reserved
		t.Fatalf("%v; the ADD ended before it had an address: %v: %s", err, <-ended, &out)
	}
	return func() {
		must(t, os.WriteFile("/run/go", []byte("on\n"), 0))
		if err := <-ended; err != nil {
			t.Errorf("the ADD that hung: %v: %s", err, &out)
		}
	}
}
