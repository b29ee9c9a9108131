package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"

	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/step"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/reference"
	"github.com/trestle-cni/trestle/test/snapshot"
)

const shapedBoth = `{"type": "bandwidth", "ingressRate": 1000000, "ingressBurst": 1000000, "egressRate": 1000000, "egressBurst": 1000000}`

// livings are containers that live, of which no runtime remembers anything, and which have no link of our name: by hand, or because another suite made the
// interface. The script does that.
var livings = map[string]struct{ plugins, script string }{
	"reserved elsewhere": {`{"type": "ptp", "ipMasq": true, "ipam": {"type": "host-local", "subnet": "10.1.0.0/24", "dataDir": "/run/elsewhere"}}, {"type": "firewall"},
		{"type": "tuning", "mtu": 1400}, ` + shapedBoth, "ip -n c0 link del eth0"},
	"on another suite's link": {`{"type": "mixed", "bridge": "br0", "ipam": {"type": "static", "addresses": [{"address": "10.1.0.2/24"}]}}, {"type": "tuning", "mtu": 1400}, ` + shapedBoth, ""},
}

// TestNotDeadByItsLink collects beside such a container: nothing of it goes.
func TestNotDeadByItsLink(t *testing.T) {
	t.Parallel()
	for name, c := range livings {
		t.Run(strings.NewReplacer(" ", "-", "'", "").Replace(name), func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				list, err := libcni.ConfListFromBytes(fmt.Appendf(nil, `{"cniVersion": "1.0.0", "name": "net", "plugins": [%s]}`, c.plugins))
				must(t, err)
				must(t, os.Mkdir("/run/mixed", 0o755))
				must(t, os.Symlink(filepath.Join(reference.Newest.Dir, "bridge"), "/run/mixed/mixed"))
				s := &settled{newStreet(t), libcni.NewCNIConfigWithCacheDir([]string{"/run/mixed", os.Getenv(pluginsVar)}, "/run/results", nil), list, ""}
				s.container("c0")
				rt := s.runtime(0)
				_, err = s.cni.AddNetworkList(t.Context(), list, rt)
				must(t, err)
				shell(t, c.script)
				before := snapshot.Take(t, rt.NetNS)
				if out := s.tool("gc", "--yes"); !strings.HasPrefix(out, "nothing to remove") {
					t.Errorf("gc of the living: %s", out)
				}
				if diff := snapshot.Diff(before, snapshot.Take(t, rt.NetNS)); diff != "" {
					t.Errorf("who lives was touched:\n%s", diff)
				}
			})
		})
	}
}

// TestLinkBeside has a list lose the plugin that made a link beside the host's end, and a version of ours that did not look for it delete the rest. The tool names
// the link, and gc removes it.
func TestLinkBeside(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		s := &settled{newStreet(t), nil, nil, ""}
		o := owner.Of("pair", "cnitool-88ecf97b9d807b273b9e", "eth0")
		beside := step.MirrorNames(o)[0]
		shell(t, fmt.Sprintf(`ip link add %[1]s type ifb; ip link set %[1]s alias "%[2]s"`, beside, o.Tag(owner.AliasRoom)))
		if out := s.tool("ls"); !strings.Contains(out, "cnitool-88ecf97b9d807b273b9e") || !strings.Contains(out, "half") {
			t.Errorf("ls: %s", out)
		}
		if out, _ := s.ends("doctor"); !strings.Contains(string(out), "the link "+beside+" is all there is") {
			t.Errorf("doctor: %s", out)
		}
		s.tool("gc", "--yes")
		shell(t, "! ip link show "+beside)
	})
}
