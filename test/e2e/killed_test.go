package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
)

// slow is iptables-restore that says when it was begun, and does not begin before it is told.
const slow = `#!/bin/sh
[ "$1" = --version ] || { echo now >/run/begun; read go </run/go; }
exec /usr/sbin/iptables-nft-restore "$@"
`

// TestKilledAtTool kills an ADD with iptables-restore at work, which goes on. A DEL that did not wait for it would find nothing, and leave what
// it then makes.
func TestKilledAtTool(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		w := newStreet(t)
		w.container("one")
		w.attach("one", network(hostLocal(subnet)))
		config := w.ports("one", `"backend": "iptables", "snat": false`, mapping("tcp", 8080, 80, ""))
		tools := t.TempDir()
		must(t, os.WriteFile(filepath.Join(tools, "iptables-restore"), []byte(slow), 0o755))
		for _, fifo := range []string{"/run/begun", "/run/go"} {
			must(t, unix.Mkfifo(fifo, 0o600))
		}
		add := exec.Command(os.Getenv(pluginsVar) + "/portmap")
		add.Env = []string{"PATH=" + tools + ":" + os.Getenv("PATH"), "CNI_COMMAND=ADD", "CNI_CONTAINERID=one", "CNI_NETNS=" + netnsDir + "one", "CNI_IFNAME=eth0", "CNI_PATH=/"}
		add.Stdin = strings.NewReader(config)
		must(t, add.Start())
		_, err := os.ReadFile("/run/begun")
		must(t, err)
		must(t, add.Process.Kill())
		_ = add.Wait() // it was killed
		deleted := make(chan struct{})
		go func() {
			defer close(deleted)
			succeed(t, "DEL", "portmap", "one", config)
		}()
		select {
		case <-deleted:
			t.Error("DEL did not wait for the tool that was at work")
		case <-time.After(impatience):
		}
		must(t, os.WriteFile("/run/go", []byte("go\n"), 0o600))
		<-deleted
		if out, err := exec.Command("iptables-save").Output(); err != nil || strings.Contains(string(out), "CNI-DN-") || strings.Contains(string(out), "8080") {
			t.Errorf("left: %v\n%s", err, out)
		}
	})
}
