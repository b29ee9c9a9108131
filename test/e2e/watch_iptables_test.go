package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/libcni"

	"github.com/trestle-cni/trestle/test/nstest"
)

// tabled is a network whose rules are those of iptables.
const tabled = `{"cniVersion": "1.1.0", "name": "net", "plugins": [{"type": "trestle", "capabilities": {"portMappings": true}, "plugins": [
	{"type": "bridge", "bridge": "br0", "isDefaultGateway": true, "ipMasq": true, "ipMasqBackend": "iptables",
		"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/16"}]]}},
	{"type": "portmap", "backend": "iptables", "capabilities": {"portMappings": true}}]}]}`

// TestWatchIPTables flushes where rules are those of iptables-nft: the plugins are asked, and the rules are as they were. In a long run it says how long that takes, beside one
// iptables-restore of the same rules.
func TestWatchIPTables(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		list, err := libcni.ConfListFromBytes([]byte(tabled))
		must(t, err)
		s := &settled{newStreet(t), libcni.NewCNIConfigWithCacheDir([]string{os.Getenv(pluginsVar)}, "/var/lib/cni", nil), list, "udp"}
		many := size(2, 50)
		for i := range many {
			s.container(s.name(i))
			_, err := s.cni.AddNetworkList(t.Context(), list, s.runtime(i))
			must(t, err)
		}
		s.serve("c0", "udp", ":7")
		rules, err := exec.Command("/usr/sbin/iptables-save").Output()
		must(t, err)
		sweep(t)
		begun := time.Now()
		restore := exec.Command("/usr/sbin/iptables-restore")
		restore.Stdin = strings.NewReader(string(rules))
		must(t, restore.Run())
		one := time.Since(begun)
		w := s.watch()
		w.says("the plugins have looked")
		begun = time.Now()
		sweep(t)
		w.says("the plugins have looked")
		t.Logf("%d containers: %s, where one iptables-restore takes %s", many, time.Since(begun), one)
		if !s.hears(outsider, "udp", "192.0.2.1:20000", "c0") {
			t.Error("c0's port leads nowhere")
		}
		if after, err := exec.Command("/usr/sbin/iptables-save").Output(); err != nil || strings.Count(string(after), "net/") != strings.Count(string(rules), "net/") {
			t.Errorf("not as before: %v\n%s\nbut:\n%s", err, rules, after)
		}
	})
}
