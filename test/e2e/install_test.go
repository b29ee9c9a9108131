package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/built"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/reference"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// installation is a runtime's directory with the bundle in it, from which all calls of the test take their plugins.
func installation(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	operate(t, "install", dir)
	must(t, os.Setenv(pluginsVar, dir))
	return dir
}

// operate runs a command of the operator's tool, which must succeed.
func operate(t *testing.T, command, dir string, flags ...string) {
	t.Helper()
	if out, err := operated(command, dir, flags...); err != nil {
		t.Fatalf("trestle %s: %v\n%s", command, err, out)
	}
}

func operated(command, dir string, flags ...string) (string, error) {
	out, err := exec.Command(filepath.Join(os.Getenv(bundleVar), "trestle"), append([]string{command, "--bin-dir", dir}, flags...)...).CombinedOutput()
	return string(out), err
}

const forwarded = `{"hostPort": %d, "containerPort": 80, "protocol": "tcp"}`

// TestInstallDuringADDs replaces the bundle again and again while containers come and go on it, sixteen at a time, in the flat form and as one plugin: no
// call fails, be it that a name is missing, a file busy, or a bridge of the old file asks a host-local of the new.
func TestInstallDuringADDs(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		dir := installation(t)
		installs := 30
		if os.Getenv("TRESTLE_LONG") != "" {
			installs = 500
		}
		over, errs := make(chan struct{}), make(chan error)
		forms := []func(container string, port int) error{flatCycle, listCycle}
		const containers = 16
		for i := range containers {
			container, cycle := fmt.Sprintf("c%d", i), forms[i%len(forms)]
			nstest.Namespace(t, container)
			go func() {
				var err error
				cycles := 0
				for ; err == nil && !closed(over); cycles++ {
					err = cycle(container, 8080+i)
				}
				t.Logf("%s: %d cycles", container, cycles)
				errs <- err
			}()
		}
		for range installs {
			if out, err := operated("install", dir); err != nil {
				t.Errorf("install: %v\n%s", err, out)
			}
		}
		close(over)
		for range containers {
			must(t, <-errs)
		}
	})
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// flatCycle adds the container to a network of two plugins, checks it, and deletes it.
func flatCycle(container string, port int) error {
	config := network(`"isGateway": true, "ipMasq": true, ` + hostLocal(subnet))
	result, err := called("ADD", "bridge", container, config)
	if err != nil {
		return err
	}
	previous := `{"prevResult": ` + string(result) + `, `
	ports := previous + `"runtimeConfig": {"portMappings": [` + fmt.Sprintf(forwarded, port) + `]}, ` + network(`"type": "portmap"`)[1:]
	for _, c := range [][3]string{{"ADD", "portmap", ports}, {"CHECK", "bridge", previous + config[1:]}, {"DEL", "portmap", ports}, {"DEL", "bridge", config}} {
		if _, err := called(c[0], c[1], container, c[2]); err != nil {
			return err
		}
	}
	return nil
}

// listCycle is flatCycle by the plugin trestle.
func listCycle(container string, port int) error {
	list := network(`"type": "trestle", "capabilities": {"portMappings": true}, "runtimeConfig": {"portMappings": [` + fmt.Sprintf(forwarded, port) + `]},
		"plugins": [{"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, ` + hostLocal(subnet) + `},
		{"type": "portmap", "capabilities": {"portMappings": true}}]`)
	result, err := called("ADD", "trestle", container, list)
	if err == nil {
		_, err = called("CHECK", "trestle", container, `{"prevResult": `+string(result)+`, `+list[1:])
	}
	if err == nil {
		_, err = called("DEL", "trestle", container, list)
	}
	return err
}

// called is invoke for a call that must not fail, on any goroutine.
func called(verb, plugin, container, config string) ([]byte, error) {
	r, err := invoke(verb, plugin, container, config)
	if err == nil && r.Status != 0 {
		err = fmt.Errorf("%s of %s: code %d: %s", verb, plugin, r.Code, r.Msg)
	}
	if err != nil {
		return nil, err
	}
	return r.Out, nil
}

// TestUninstall takes the place of the reference's plugins and gives it back, byte for byte: of all that there are by now, and of those that Debian has.
func TestUninstall(t *testing.T) {
	for name, from := range map[string]string{"Debian's": reference.Debian.Dir, "all": reference.Newest.Dir} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				dir := t.TempDir()
				must(t, os.CopyFS(dir, os.DirFS(from)))
				before := sums(t, dir)
				if count := strings.Count(before, "\n"); name == "all" && count != 18 {
					t.Errorf("the reference has %d plugins:\n%s", count, before)
				}
				if out, err := operated("install", dir); err == nil || !strings.Contains(out, "somebody else's: bandwidth, bridge, ") {
					t.Errorf("install over the reference: %v: %s", err, out)
				}
				operate(t, "install", dir, "--replace")
				holdReplaced(t, before, sums(t, dir))
				operate(t, "install", dir)
				operate(t, "uninstall", dir)
				if after := sums(t, dir); after != before {
					t.Errorf("before:\n%safter:\n%s", before, after)
				}
			})
		})
	}
}

// holdReplaced wants every plugin of ours in the place of the reference's, and those that are not here as they were.
func holdReplaced(t *testing.T, before, during string) {
	t.Helper()
	for line := range strings.Lines(before) {
		name, _, _ := strings.Cut(line, " ")
		if strings.Contains(during, line) == slices.Contains(plugins(t), name) {
			t.Errorf("%s: the reference's is there: %v", name, strings.Contains(during, line))
		}
	}
}

func sums(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var all strings.Builder
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		must(t, err)
		fmt.Fprintf(&all, "%s %d %x\n", e.Name(), len(text), sha256.Sum256(text))
	}
	return all.String()
}

// Nobody else's plugins could delete what ours have made: a container's link, or ports of a container that another main plugin attached.
func TestUninstallRefuses(t *testing.T) {
	ports := func(backend string) string {
		return `{"backend": "` + backend + `", ` + published(fmt.Sprintf(forwarded, 8080))[1:]
	}
	for name, c := range map[string]struct{ plugin, config string }{
		"a link":                 {"bridge", network(hostLocal(subnet))},
		"a link inside, by hand": {"macvlan", network(`"type": "macvlan", "master": "up0", ` + hostLocal(subnet))},
		"ports":                  {"portmap", ports("nftables")},
		"ports, by iptables":     {"portmap", ports("iptables")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				must(t, os.Setenv("PATH", os.Getenv(pathVar)+":/usr/sbin:/sbin"))
				dir := installation(t)
				nstest.Namespace(t, "c1")
				shell(t, "ip link add up0 type veth peer name up1; ip link set up0 up")
				succeed(t, "ADD", c.plugin, "c1", c.config)
				during := snapshot.Take(t)
				if out, err := operated("uninstall", dir); err == nil || !strings.Contains(out, "1 attachments are of these plugins, as net/c1/eth0") {
					t.Errorf("uninstall: %v: %s", err, out)
				}
				if diff := snapshot.Diff(during, snapshot.Take(t)); diff != "" {
					t.Errorf("it changed the host:\n%s", diff)
				}
				succeed(t, "DEL", c.plugin, "c1", c.config)
				operate(t, "uninstall", dir)
				if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
					t.Errorf("left: %v, %v", left, err)
				}
			})
		})
	}
}

// TestInstallOverOurOwn: the suite's separate binaries are ours, and the bundle takes their place without being asked twice. It says what it did.
func TestInstallOverOurOwn(t *testing.T) {
	const at = "E2E_OVER"
	dir := os.Getenv(at)
	if dir != "" {
		nstest.Run(t, func(t *testing.T) { uninstallAll(t, dir) })
		return
	}
	dir = t.TempDir()
	must(t, os.Setenv(at, dir))
	must(t, built.Into(dir, "../../cmd/bridge", "../../cmd/portmap"))
	must(t, os.Symlink("/nowhere/at/all", filepath.Join(dir, "loopback")))
	if out, err := operated("install", dir); err == nil || !strings.Contains(out, "somebody else's: loopback\n") {
		t.Errorf("install over a link to nothing: %v: %s", err, out)
	}
	must(t, os.Remove(filepath.Join(dir, "loopback")))
	must(t, os.WriteFile(filepath.Join(dir, "trestle"), []byte("somebody's"), 0o755))
	if out, err := operated("install", dir); err == nil || !strings.Contains(out, "somebody else's: trestle\n") {
		t.Errorf("install over somebody's trestle: %v: %s", err, out)
	}
	out, err := operated("install", dir, "--replace", "--json")
	if err != nil || !strings.Contains(out, `"kept": [
    "trestle"
  ]`) || !strings.Contains(out, `"bridge",`) {
		t.Errorf("install: %v: %s", err, out)
	}
	nstest.Run(t, func(*testing.T) {})
}

func uninstallAll(t *testing.T, dir string) {
	t.Helper()
	out, err := operated("uninstall", dir)
	if err != nil || !strings.Contains(out, ": removed: bandwidth, bridge, ") || !strings.Contains(out, ": put back: trestle\n") {
		t.Errorf("uninstall: %v: %s", err, out)
	}
}
