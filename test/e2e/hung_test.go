package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/nstest"
)

// TestHungBeforeItsLink hangs an ADD that has its address and no link yet, so that no ledger of the kernel's knows of it. No GC, whatever its list, takes
// the address, which is the only one: the next container is refused, and the ADD, when it goes on, is whole. Then a GC takes both.
func TestHungBeforeItsLink(t *testing.T) {
	const one = `{"subnet": "10.1.0.0/30"}`
	for name, c := range map[string]struct{ plugin, config string }{
		"bridge":  {"bridge", network(hostLocal(one))},
		"ptp":     {"ptp", network(`"type": "ptp", ` + hostLocal(one))},
		"trestle": {"trestle", network(`"type": "trestle", "plugins": [{"type": "bridge", "bridge": "cni0", ` + hostLocal(one) + `}]`)},
		"dataDir": {"bridge", network(`"ipam": {"type": "host-local", "dataDir": "/run/data", "ranges": [[` + one + `]]}`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
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
	if _, err := os.ReadFile("/run/reserved"); err != nil { // comes back when the address is reserved
		t.Fatal(err)
	}
	return func() {
		must(t, os.WriteFile("/run/go", []byte("on\n"), 0))
		if err := cmd.Wait(); err != nil {
			t.Errorf("the ADD that hung: %v: %s", err, &out)
		}
	}
}
