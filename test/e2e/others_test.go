package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/reference"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// TestOthersAreCalled lets containers die on networks that have plugins of others. trestle gc calls those for the DEL that the runtime did not send.
// Where one is missing it is named, and all stays as it is: the next owner of the address would have what is left.
func TestOthersAreCalled(t *testing.T) {
	t.Parallel()
	const ipam = `"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}]]}`
	for name, c := range map[string]struct{ plugins, missing string }{
		"ptp alone":     {`{"type": "others-ptp", "ipMasq": true, ` + ipam + `}`, "others-ptp"},
		"macvlan alone": {`{"type": "others-macvlan", "master": "uplink", ` + ipam + `}`, "others-macvlan"},
		"behind ours": {`{"type": "bridge", "bridge": "br0", "isGateway": true, "ipMasq": true, ` + ipam + `},
			{"type": "portmap", "capabilities": {"portMappings": true}}, {"type": "others-firewall", "backend": "iptables"}, {"type": "others-tuning"}`, "others-firewall"},
		"ptp before ours": {`{"type": "others-ptp", ` + ipam + `}, {"type": "portmap", "capabilities": {"portMappings": true}}`, "others-ptp"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) { othersAreCalled(t, c.plugins, c.missing) })
		})
	}
}

func othersAreCalled(t *testing.T, plugins, missing string) {
	s := &settled{street: newStreet(t), protocol: "udp"}
	must(t, os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin"))
	others := foreign(t)
	var err error
	s.list, err = libcni.ConfListFromBytes(fmt.Appendf(nil, `{"cniVersion": "1.0.0", "name": "net", "plugins": [%s]}`, plugins))
	must(t, err)
	s.cni = libcni.NewCNIConfigWithCacheDir([]string{os.Getenv(pluginsVar), others}, "/var/lib/cni", nil)
	for _, i := range []int{0, 1} {
		s.container(s.name(i))
		_, err := s.cni.AddNetworkList(t.Context(), s.list, s.runtime(i))
		must(t, err)
	}
	s.perishes(s.name(0))
	dead := snapshot.Take(t)

	out, err := s.try("gc", "--yes", "--bin-dir", "/none")
	if err == nil || !strings.Contains(out, missing) || !strings.Contains(out, "net/c0/eth0") {
		t.Errorf("gc without %s: %v\n%s", missing, err, out)
	}
	if out := s.tool("gc", "--bin-dir", others); !strings.Contains(out, "would remove attachment net/c0/eth0") {
		t.Errorf("gc without --yes: %s", out)
	}
	if diff := snapshot.Diff(dead, snapshot.Take(t)); diff != "" {
		t.Errorf("removed all the same:\n%s", diff)
	}
	if out, err := s.try("gc", "--yes", "--bin-dir", failing(t)); err == nil || !there("/var/lib/cni/networks/net/10.1.0.2") || !there("/var/lib/cni/results/net-c0-eth0") {
		t.Errorf("gc, where the others fail, gave the address back, or forgot it: %v\n%s", err, out)
	}
	if out := s.tool("gc", "--yes", "--bin-dir", others); !strings.Contains(out, "removed attachment net/c0/eth0") || strings.Contains(out, "c1") {
		t.Errorf("gc --yes: %s", out)
	}
	rules, err := exec.Command("iptables-save").Output()
	if err != nil || strings.Contains(string(rules), "10.1.0.2") || !there("/var/lib/cni/networks/net/10.1.0.3") || there("/var/lib/cni/networks/net/10.1.0.2") ||
		there("/var/lib/cni/results/net-c0-eth0") || !there("/var/lib/cni/results/net-c1-eth0") {
		t.Errorf("left of the dead, or gone of the living: %v\n%s", err, rules)
	}
	if out := s.tool("gc", "--yes", "--bin-dir", "/none"); !strings.HasPrefix(out, "nothing to remove") {
		t.Errorf("gc again: %s", out)
	}
}

// foreign is a directory with plugins of the reference's under names that ours will never have, and its address plugin.
func foreign(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Symlink(reference.Debian.Dir+"/host-local", dir+"/host-local"))
	for _, name := range []string{"ptp", "macvlan", "firewall", "tuning"} {
		must(t, os.Symlink(reference.Debian.Dir+"/"+name, dir+"/others-"+name))
	}
	return dir
}

// failing has the same names, of plugins that fail.
func failing(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Symlink(reference.Debian.Dir+"/host-local", dir+"/host-local"))
	for _, name := range []string{"ptp", "macvlan", "firewall", "tuning"} {
		must(t, os.WriteFile(dir+"/others-"+name, []byte("#!/bin/sh\nexit 1\n"), 0o755))
	}
	return dir
}

func there(file string) bool { _, err := os.Lstat(file); return err == nil }

// perishes takes a container's namespace away, and returns when it has gone. A pair that ends in it is the witness: not every container has one of its own.
func (s *settled) perishes(container string) {
	s.Helper()
	ns, err := os.Open(netnsDir + container)
	must(s.T, err)
	witness := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "witness"}, PeerName: "witness", PeerNamespace: netlink.NsFd(int(ns.Fd()))}
	must(s.T, errors.Join(netlink.LinkAdd(witness), ns.Close()))
	link, err := netlink.LinkByName("witness")
	must(s.T, err)
	events, done := make(chan netlink.LinkUpdate), make(chan struct{})
	defer close(done)
	must(s.T, netlink.LinkSubscribe(events, done))
	nstest.Remove(s, netnsDir+container)
	s.removed(events, link.Attrs().Index)
}
