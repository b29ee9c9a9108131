package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/reference"
)

// adopted are networks of the reference's, by what they ask of the packet filter. %s is the backend, where the reference has a choice.
var adopted = map[string]string{
	"masquerade": `{"type": "bridge", "bridge": "br0", "isDefaultGateway": true, "ipMasq": true, %s
		"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00:1::/64"}]]}}`,
	"antispoof": `{"type": "bridge", "bridge": "br0", "isDefaultGateway": true, "macspoofchk": true,
		"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}]]}}`,
	"ports": `{"type": "bridge", "bridge": "br0", "isDefaultGateway": true,
		"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}]]}},
		{"type": "portmap", "capabilities": {"portMappings": true}}`,
	"all": `{"type": "bridge", "bridge": "br0", "isDefaultGateway": true, "ipMasq": true, "macspoofchk": true, "hairpinMode": true, %s
		"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00:1::/64"}]]}},
		{"type": "portmap", "capabilities": {"portMappings": true}}`,
}

// others is a build of the reference's, with the backends that its users may have chosen.
type others struct{ dir, masquerade, ports string }

// takenFrom are the suites that are taken over from.
func takenFrom() map[string]others {
	newest := reference.Newest.Dir
	return map[string]others{
		"1.1.1":            {reference.Debian.Dir, "", ""},
		"1.10.0, nftables": {newest, `"ipMasqBackend": "nftables",`, `"backend": "nftables",`},
		"1.10.0, iptables": {newest, `"ipMasqBackend": "iptables",`, `"backend": "iptables",`},
	}
}

// TestAdopt is law 11: what the reference attached, a flush of the packet filter, repair and gc in any order leave in peace and whole: CHECK is silent,
// nothing goes, and traffic flows in both directions.
func TestAdopt(t *testing.T) {
	t.Parallel()
	for name, network := range adopted {
		for order, steps := range map[string]string{"flushed": "flush repair gc", "collected-first": "gc flush gc repair gc", "not-flushed": "repair gc repair gc"} {
			for build, from := range takenFrom() {
				t.Run(name+"/"+order+"/"+build, func(t *testing.T) {
					t.Parallel()
					plugins := strings.NewReplacer("%s", from.masquerade, `"portmap",`, `"portmap", `+from.ports).Replace(network)
					nstest.Run(t, func(t *testing.T) { adopt(t, from.dir, plugins, steps) })
				})
			}
		}
	}
}

func adopt(t *testing.T, dir, plugins, steps string) {
	s := settledBy(t, dir, plugins)
	s.flow()
	for _, step := range strings.Fields(steps) {
		switch step {
		case "flush":
			flush(t)
		case "repair":
			s.tool("repair")
		case "gc":
			if out := s.tool("gc", "--yes"); !strings.HasPrefix(out, "nothing to remove") {
				t.Errorf("gc of the living: %s", out)
			}
		}
	}
	ours := s.ours()
	for _, i := range []int{0, 1} {
		if strings.HasPrefix(steps, "repair") {
			break // the reference's rules are there, and CHECK of them is another's test
		}
		if err := ours.CheckNetworkList(t.Context(), s.list, s.runtime(i)); err != nil {
			t.Errorf("CHECK of %s: %v", s.name(i), err)
		}
	}
	s.flow()
	for _, i := range []int{0, 1} {
		must(t, ours.DelNetworkList(t.Context(), s.list, s.runtime(i)))
	}
}

// settledBy is a street on which a runtime has attached two containers by the plugins in the directory.
func settledBy(t *testing.T, dir, plugins string) *settled {
	list, err := libcni.ConfListFromBytes(fmt.Appendf(nil, `{"cniVersion": "1.0.0", "name": "net", "plugins": [%s]}`, plugins))
	must(t, err)
	must(t, os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")) // the reference runs iptables
	s := &settled{newStreet(t), libcni.NewCNIConfigWithCacheDir([]string{dir}, "/var/lib/cni", nil), list, "udp"}
	for _, i := range []int{0, 1} {
		s.container(s.name(i))
		_, err := s.cni.AddNetworkList(t.Context(), list, s.runtime(i))
		must(t, err)
		s.serve(s.name(i), "udp", ":7")
	}
	s.serve(outsider, "udp", ":7")
	return s
}

// flow asks each container from outside by its port, and outside from each container, as far as the network has that.
func (s *settled) flow() {
	s.Helper()
	answered := func(from, to, server string) {
		s.Helper()
		if !s.hears(from, "udp", to, server) {
			s.Errorf("%s does not hear %s at %s", from, server, to)
		}
	}
	list := string(s.list.Bytes)
	for _, i := range []int{0, 1} {
		if strings.Contains(list, "portmap") {
			answered(outsider, fmt.Sprintf("192.0.2.1:%d", 20000+i), s.name(i))
		}
		if strings.Contains(list, "ipMasq") {
			answered(s.name(i), "192.0.2.2:7", outsider)
		}
		answered(s.name(i), fmt.Sprintf("10.1.0.%d:7", 3-i), s.name(1-i))
	}
}

// ours is the runtime after the change.
func (s *settled) ours() *libcni.CNIConfig {
	return libcni.NewCNIConfigWithCacheDir([]string{os.Getenv(pluginsVar)}, "/var/lib/cni", nil)
}

// flush removes the whole ruleset, as a firewall's restart does.
func flush(t *testing.T) {
	t.Helper()
	conn, err := nftables.New()
	must(t, err)
	conn.FlushRuleset()
	must(t, conn.Flush())
}
