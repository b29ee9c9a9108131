package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// settled is a street on which a runtime has attached many containers, each with a port published from 20000 on.
type settled struct {
	*street
	cni      *libcni.CNIConfig
	list     *libcni.NetworkConfigList
	protocol string // of the ports
}

func settle(t *testing.T, many int, protocol string) *settled {
	return settleBy(t, `{"cniVersion": "1.1.0", "name": "net", "plugins": [{"type": "trestle",
		"capabilities": {"portMappings": true}, "plugins": [
			{"type": "bridge", "bridge": "br0", "isDefaultGateway": true, "ipMasq": true,
				"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/16"}]]}},
			{"type": "portmap", "capabilities": {"portMappings": true}}]}]}`, many, protocol)
}

// settleBy is settle by another list of plugins.
func settleBy(t *testing.T, plugins string, many int, protocol string) *settled {
	t.Helper()
	list, err := libcni.ConfListFromBytes([]byte(plugins))
	must(t, err)
	s := &settled{newStreet(t), libcni.NewCNIConfigWithCacheDir([]string{os.Getenv(pluginsVar)}, "/var/lib/cni", nil), list, protocol}
	for i := range many {
		s.attach(i)
	}
	return s
}

// attach attaches the container, which is new.
func (s *settled) attach(i int) {
	s.Helper()
	s.container(s.name(i))
	must(s.T, s.adds(i))
}

// adds is an ADD of the container.
func (s *settled) adds(i int) error {
	_, err := s.cni.AddNetworkList(s.Context(), s.list, s.runtime(i))
	return err
}

// deletes is a DEL.
func (s *settled) deletes(i int) error {
	return s.cni.DelNetworkList(s.Context(), s.list, s.runtime(i))
}

func (s *settled) name(i int) string { return fmt.Sprintf("c%d", i) }

func (s *settled) runtime(i int) *libcni.RuntimeConf {
	return &libcni.RuntimeConf{ContainerID: s.name(i), NetNS: netnsDir + s.name(i), IfName: "eth0", CapabilityArgs: map[string]any{
		"portMappings": []any{map[string]any{"hostPort": 20000 + i, "containerPort": 7, "protocol": s.protocol}}}}
}

// tool runs the operator's tool, and returns what it printed.
func (s *settled) tool(args ...string) string {
	s.Helper()
	begun := time.Now()
	cmd := exec.CommandContext(s.Context(), filepath.Join(os.Getenv(pluginsVar), "trestle"), args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.Fatalf("trestle %v: %v\n%s", args, err, out)
	}
	s.Logf("trestle %s: %s, of which the processor's %s", args[0], time.Since(begun), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	return string(out)
}

// size is the full one in a long run.
func size(short, long int) int {
	if os.Getenv("TRESTLE_LONG") != "" {
		return long
	}
	return short
}

// TestCollect lets nearly all containers die unnoticed. trestle gc removes exactly those, while the others' traffic loses nothing.
func TestCollect(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		many, keep := size(40, 1000), size(3, 10)
		s := settle(t, keep, "udp")
		before := snapshot.Take(t)
		for i := keep; i < many; i++ {
			s.attach(i)
		}
		s.echo("c0", ":7")
		stream := s.stream("192.0.2.1:20000")
		stream.await("c0", 5)
		for i := keep; i < many; i++ {
			s.dies(s.name(i))
		}
		out := s.tool("gc", "--yes")
		stream.await("c0", 20)
		stream.stop()
		for i := range many {
			if named := strings.Contains(out, "attachment net/"+s.name(i)+"/eth0: "); named != (i >= keep) {
				t.Errorf("%s named: %v", s.name(i), named)
			}
		}
		if after := snapshot.Take(t); after != before {
			t.Errorf("not as before:\n%s", snapshot.Diff(before, after))
		}
		if lost := stream.lost(); lost > 0 {
			t.Errorf("%d datagrams of a living container's were lost", lost)
		}
	})
}

// TestRepair flushes the packet filter, and wants it to be the same after trestle repair.
func TestRepair(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		many := size(30, 250)
		s := settle(t, many, "tcp")
		before := snapshot.Take(t)
		conn, err := nftables.New()
		must(t, err)
		conn.FlushRuleset()
		must(t, conn.Flush())
		out := s.tool("repair")
		if want := fmt.Sprintf("%d mended, 0 were whole, 0 are gone", many); !strings.Contains(out, want) {
			t.Errorf("%s, want %s", out, want)
		}
		if after := snapshot.Take(t); after != before {
			t.Errorf("not as before:\n%s", snapshot.Diff(before, after))
		}
	})
}
