package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/spf13/cobra"

	"github.com/trestle-cni/trestle/pkg/operator/tool"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/test/nstest"
)

// TestExamples runs the examples of every command's help on a host with the containers web and api on the network front, the first with port 8080
// published. The folders in the examples are the test's own.
func TestExamples(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		dir := t.TempDir()
		must(t, os.MkdirAll(filepath.Join(dir, "net.d"), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "net.d", "10-front.conflist"), []byte(front), 0o644))
		must(t, os.WriteFile("/etc/cni/trestle.json", fmt.Appendf(nil, `{"log": {"to": "file", "file": %q}}`, filepath.Join(dir, "log")), 0o644))
		w := newStreet(t)
		list, err := libcni.ConfListFromBytes([]byte(front))
		must(t, err)
		cni := libcni.NewCNIConfigWithCacheDir([]string{os.Getenv(pluginsVar)}, "/var/lib/cni", nil)
		runtime := func(name string) *libcni.RuntimeConf {
			c := &libcni.RuntimeConf{ContainerID: name, NetNS: netnsDir + name, IfName: "eth0"}
			if name == "web" {
				c.CapabilityArgs = map[string]any{"portMappings": []any{map[string]any{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}}}
			}
			return c
		}
		for _, name := range []string{"web", "api"} {
			w.container(name)
			_, err := cni.AddNetworkList(t.Context(), list, runtime(name))
			must(t, err)
		}
		late := examples(t, tool.Command(plugin.Bundle{}), dir)
		for _, name := range []string{"web", "api"} {
			must(t, cni.DelNetworkList(t.Context(), list, runtime(name)))
		}
		for _, line := range late {
			example(t, line, dir)
		}
	})
}

const front = `{
  "cniVersion": "1.0.0", "name": "front",
  "plugins": [
    {"type": "bridge", "bridge": "front0", "isDefaultGateway": true, "ipMasq": true,
      "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.10.0.0/24"}]]}},
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}`

// examples runs those of the command and the commands below it, and returns those that want a host without containers. Every command that does
// something has one.
func examples(t *testing.T, c *cobra.Command, dir string) (late []string) {
	if c.Name() == "help" || c.Name() == "completion" { // cobra's
		return nil
	}
	if c.Short == "" || c.Runnable() && (c.Example == "" || c.Long == "" && c.Name() != "plugin") {
		t.Errorf("%s: its help lacks a line, a text or an example", c.CommandPath())
	}
	for line := range strings.Lines(c.Example) {
		if c.Name() == "uninstall" {
			late = append(late, line)
			continue
		}
		example(t, line, dir)
	}
	for _, below := range c.Commands() {
		late = append(late, examples(t, below, dir)...)
	}
	return late
}

func example(t *testing.T, line, dir string) {
	t.Helper()
	line = strings.NewReplacer("/etc/cni/net.d", dir+"/net.d", "/opt/cni/bin", dir+"/bin").Replace(strings.TrimSpace(line))
	must(t, os.MkdirAll(filepath.Join(dir, "bin"), 0o755))
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv(pluginsVar)+":"+os.Getenv(pathVar)+":/usr/sbin:/sbin")
	out, err := cmd.CombinedOutput()
	var told *exec.ExitError
	if errors.As(err, &told) && !bytes.HasPrefix(out, []byte("trestle: ")) && (strings.Contains(line, "trestle trace") || strings.Contains(line, "trestle doctor")) {
		err = nil // the answer is in the status
	}
	if err != nil || len(out) == 0 && !strings.Contains(line, "install") && !strings.Contains(line, "lint") && !strings.Contains(line, " -o ") {
		t.Errorf("%s: %v\n%s", line, err, out)
	}
}

// TestManual makes the manual's pages: one a command, with its examples.
func TestManual(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if out, err := exec.Command("go", "run", "../../docs/man", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, c := range tool.Command(plugin.Bundle{}).Commands() {
		page := "trestle-" + c.Name() + ".1"
		if c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, page))
		must(t, err)
		for _, section := range []string{".SH EXAMPLE", ".SH EXIT STATUS\n.TP\n", ".SH FILES\n.TP\n"} {
			if !strings.Contains(string(text), section) {
				t.Errorf("%s: without %q", page, section)
			}
		}
	}
}
