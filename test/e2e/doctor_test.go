package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/trestle-cni/trestle/pkg/operator/doctor"
	"github.com/trestle-cni/trestle/test/nstest"
)

// planted is something that is broken on a healthy host: by a script, and before it by the end of a container.
type planted struct {
	id, plant string
	fix       bool // --fix cures it
	before    string
	user      bool // doctor is run by somebody who may do nothing here
	dies      string
	by        func(*testing.T) // plants it, where a script cannot
}

// veth prints the host's end of the container's interface.
const veth = `veth() { index=$(ip -n $1 -o link show eth0 | sed 's/.*eth0@if\([0-9]*\).*/\1/'); ip -o link show | sed -n "s/^$index: \([^@:]*\).*/\1/p"; }
`

func faults() []planted {
	list := func(name, body string) string {
		return fmt.Sprintf("echo '%s' > /run/net.d/90-%s.conflist\n", body, name)
	}
	other := func(name, version, subnet string) string {
		return list(name, fmt.Sprintf(`{"cniVersion": "%s", "name": "%s", "plugins": [{"type": "bridge", "bridge": "%s", "ipam": {"type": "host-local", %s}}]}`,
			version, name, name, subnet))
	}
	kernel := func(release string) string {
		return fmt.Sprintf("echo %s > /run/osrelease; mount --bind /run/osrelease /proc/sys/kernel/osrelease", release)
	}
	return []planted{
		{id: "conflist-broken", plant: list("x", `{"name": "x",}`)},
		{id: "version-unknown", plant: other("x", "9.9.9", `"subnet": "10.9.0.0/24"`)},
		{id: "network-twice", plant: "cp /run/net.d/10-net.conflist /run/net.d/11-net.conflist"},
		{id: "plugin-missing", plant: "rm /run/bin/portmap"},
		{id: "plugin-not-executable", plant: "rm /run/bin/portmap; echo '#!/bin/sh' > /run/bin/portmap", fix: true},
		{id: "plugin-version", plant: `echo '#!/bin/sh
echo "{\"cniVersion\": \"0.3.1\", \"supportedVersions\": [\"0.3.1\"]}"' > /run/bin/old; chmod 755 /run/bin/old
` + list("x", `{"cniVersion": "1.0.0", "name": "x", "plugins": [{"type": "old"}]}`)},
		{id: "subnet-overlap-network", plant: other("x", "1.0.0", `"subnet": "10.1.0.128/25"`)},
		{id: "subnet-overlap-uplink", plant: other("x", "1.0.0", `"subnet": "192.0.2.128/25"`)},
		{id: "range-full", plant: other("x", "1.0.0", `"subnet": "10.9.0.0/30"`) + "ip netns add x; cnitool add x /run/netns/x > /dev/null"},
		{id: "range-nearly-full", plant: other("x", "1.0.0", `"subnet": "10.9.0.0/24", "rangeStart": "10.9.0.11", "rangeEnd": "10.9.0.20"`) +
			"for i in 1 2 3 4 5 6 7 8 9; do ip netns add x$i; cnitool add x /run/netns/x$i > /dev/null; done"},
		{id: "runtimes-twice", plant: `for n in cni-09066c8e-27ad-e637-d75e-0803ec6cfae3 netns-19066c8e-27ad-e637-d75e-0803ec6cfae3; do
ip netns add $n; CNI_PATH=/run/bin NETCONFPATH=/run/net.d cnitool add net /run/netns/$n > /dev/null; done`},
		{id: "log-lost", plant: `mkdir -p /etc/cni; echo '{"log": {"to": "file", "file": "/nowhere/log"}}' > /etc/cni/trestle.json`},
		{id: "watch-paused", plant: `mkdir -p /run/cni/trestle/watch; echo "{\"why\": \"a try\"}" > /run/cni/trestle/watch/paused`},
		{id: "forwarding-ipv4", plant: "echo 0 > /proc/sys/net/ipv4/ip_forward", fix: true},
		{id: "forwarding-ipv6", plant: "echo 0 > /proc/sys/net/ipv6/conf/all/forwarding", fix: true},
		{id: "ipv6-disabled", plant: "echo 1 > /proc/sys/net/ipv6/conf/cni0/disable_ipv6"},
		{id: "ra-lost", plant: "ip -6 route add default via fe80::1 dev uplink proto ra", fix: true},
		{id: "rp-filter", plant: `ip link add second type veth peer name eth1 netns outside; ip addr add 198.51.100.1/24 dev second; ip link set second up
ip -n outside link set eth1 up; ip route add default via 198.51.100.2 metric 9; echo 1 > /proc/sys/net/ipv4/conf/second/rp_filter`},
		{id: "route-localnet", plant: "nft flush chain inet trestle guard", fix: true},
		{id: "bridge-nf-off", plant: `iptables-nft -t nat -N KUBE-SERVICES; iptables-nft -t nat -A KUBE-SERVICES -d 10.96.0.1/32 -j RETURN
echo 0 > /proc/sys/net/bridge/bridge-nf-call-iptables`},
		{id: "kernel-old", plant: kernel("4.19.0-27-amd64")},
		{id: "kernel-age", plant: kernel("5.10.0-39-amd64")},
		{id: "forward-policy", plant: "iptables-nft -P FORWARD DROP"},
		{id: "forward-rule", plant: "iptables-legacy -A FORWARD -s 10.1.0.0/24 -o uplink -j DROP"},
		{id: "inside-drops", plant: "ip netns exec four iptables-legacy -A OUTPUT -j DROP"},
		{id: "bridge-nf-drops", plant: "nft 'add table ip x; add chain ip x c { type filter hook forward priority 0; }; add rule ip x c iifname cni0 oifname cni0 drop'"},
		{id: "port-taken", plant: "nft 'add table ip x; add chain ip x c { type nat hook prerouting priority -110; }; add rule ip x c tcp dport 8080 dnat to 10.4.0.2:80'"},
		{id: "iptables-both", plant: "iptables-legacy -A INPUT -j ACCEPT; iptables-nft -A INPUT -j ACCEPT"},
		{id: "iptables-unusable", plant: `nft 'add table ip nat; add chain ip nat x; add rule ip nat x ct mark 5 accept'
cat > /run/net.d/70-old.conflist <<E
{"cniVersion": "1.0.0", "name": "old", "plugins": [{"type": "bridge", "bridge": "cni7", "ipMasq": true, "ipMasqBackend": "iptables"}]}
E`},
		{id: "rules-gone", plant: "nft flush ruleset", fix: true},
		{id: "bridge-gone", plant: "ip link del cni0"},
		{id: "bridge-down", plant: "ip link set cni4 down", fix: true},
		{id: "link-down", plant: "ip link set $(veth four) down", fix: true},
		{id: "interface-down", plant: "ip -n four link set eth0 down"},
		{id: "port-detached", plant: "ip link set $(veth two) nomaster"},
		{id: "gateway-missing", plant: "ip addr del 10.1.0.1/24 dev cni0", fix: true},
		{id: "address-twice", plant: "ip -n two addr add 10.1.0.2/24 dev eth0"},
		{id: "mac-twice", plant: "ip -n two link set eth0 address $(ip netns exec one cat /sys/class/net/eth0/address)"},
		{id: "mtu-uplink", plant: "ip link set uplink mtu 1400"},
		{id: "mtu-pair", plant: "ip -n two link set eth0 mtu 1400"},
		{id: "neighbour-wrong", plant: "ip neigh replace 10.1.0.3 lladdr 02:00:00:00:00:01 dev cni0 nud permanent"},
		{id: "uplink-down", plant: "ip link set uplink down"},
		{id: "host-route-missing", plant: "ip route del default"},
		{id: "route-blackhole", plant: "ip rule add from 10.1.0.0/24 blackhole"},
		{id: "default-route-missing", plant: "ip -n four route del default"},
		{id: "lease-not-renewed", by: abandon},
		{id: "leaked-link", before: "link=$(veth plain); echo $link > /run/link; ip -o link show $link | sed 's/.*alias //' > /run/alias", dies: "plain",
			plant: `ip link add $(cat /run/link) type veth peer name left; ip link set $(cat /run/link) alias "$(cat /run/alias)"`, fix: true},
		{id: "leaked-rules", dies: "one", plant: "rm /var/lib/cni/networks/net/10.1.0.2 /var/lib/cni/networks/net/fd00:1::2", fix: true},
		{id: "leaked-address", dies: "plain", fix: true},
		{id: "reservation-nobody", plant: ": > /var/lib/cni/networks/net/10.1.0.99"},
		{id: "half-made", plant: "rm /var/lib/cni/results/plain-* /var/lib/cni/networks/plain/10.5.0.2; ip -n plain addr flush dev eth0"},
		{id: "result-torn", plant: "for f in /var/lib/cni/results/plain-*; do echo '{' > $f; done"},
		{id: "netns-stale", plant: ": > /run/netns/stale", fix: true},
		{id: "unseen", user: true},
		{id: "drift", plant: "nft flush set inet trestle masq4", fix: true},
	}
}

// TestDoctor breaks a healthy host in one way at a time. Doctor names that, and nothing else; where it has a fix, that cures it.
func TestDoctor(t *testing.T) {
	have := make(map[string]bool)
	for _, f := range faults() {
		have[f.id] = true
		t.Run(f.id, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				healthy(t)
				f.diagnose(t, whole)
			})
		})
	}
	for _, f := range linkFaults {
		have[f.id] = true
	}
	for _, c := range doctor.Checks() {
		if !have[c.ID] {
			t.Errorf("no fault is planted for the check %s", c.ID)
		}
	}
}

// healthy makes the healthy host.
func healthy(t *testing.T) {
	setUp, err := filepath.Abs("testdata/doctor.sh")
	must(t, err)
	shell(t, ". "+setUp, os.Getenv(pluginsVar))
}

// whole is silent where all containers of that host are as they were made.
const whole = `for ns in one:net two:net four:four plain:plain; do
	test -e /run/netns/${ns%:*} || continue
	test ${ns%:*} = one && export CAP_ARGS='{"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}'
	cnitool check ${ns#*:} /run/netns/${ns%:*}
	unset CAP_ARGS
done`

// diagnose plants the fault. What it broke is whole after a fix.
func (f planted) diagnose(t *testing.T, whole string) {
	if found := (planted{}).examined(t); len(found) > 0 {
		t.Fatalf("on a healthy host: %+v", found)
	}
	shell(t, veth+f.before)
	if f.dies != "" {
		(&street{T: t}).dies(f.dies)
	}
	if f.by != nil {
		f.by(t)
	}
	shell(t, veth+f.plant)
	found := f.examined(t)
	if len(found) == 0 {
		t.Fatal("nothing was found")
	}
	fixes := false
	for _, one := range found {
		if one.ID != f.id {
			t.Errorf("found %s: %s: %s", one.ID, one.Object, one.What)
		}
		fixes = fixes || one.Fix != nil
	}
	if fixes != f.fix {
		t.Fatalf("a fix: %v, want %v: %+v", fixes, f.fix, found)
	}
	if !f.fix {
		return
	}
	out := f.examine(t, "--fix", "--yes")
	if found := f.examined(t); len(found) > 0 {
		t.Errorf("after the fix: %+v\n%s", found, out)
	}
	shell(t, whole)
}

// abandon attaches a container whose address is a DHCP server's, and kills the daemon that renews it.
func abandon(t *testing.T) {
	s := newServed(t, pool)
	s.start()
	shell(t, `ln -s "$1/dhcp" /run/bin/dhcp; ip netns add leased; ip -n leased link set lo up
echo '{"cniVersion": "1.0.0", "name": "leased", "plugins": [{"type": "bridge", "bridge": "lan0", "ipam": {"type": "dhcp"}}]}' > /run/net.d/90-leased.conflist
cnitool add leased /run/netns/leased > /dev/null`, os.Getenv(pluginsVar))
	if found := (planted{}).examined(t); len(found) > 0 {
		t.Fatalf("with a daemon: %+v", found)
	}
	s.daemon.kill()
}

// shell runs a script with everything that the starter of the tests has, and the suite's own tools.
func shell(t *testing.T, script string, args ...string) {
	t.Helper()
	cmd := exec.Command("/bin/sh", append([]string{"-ec", script, "sh"}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv(toolsVar)+":"+os.Getenv(pathVar)+":/usr/sbin:/sbin", "CNI_PATH=/run/bin", "NETCONFPATH=/run/net.d")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s\n%v\n%s", script, err, out)
	}
}

// examine runs doctor, whose status says how bad it is.
func (f planted) examine(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(filepath.Join(os.Getenv(pluginsVar), "trestle"), append([]string{"doctor", "--conf-dir", "/run/net.d", "--bin-dir", "/run/bin"}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv(pathVar)+":/usr/sbin:/sbin")
	if f.user {
		cmd.SysProcAttr = nobody()
	}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, _ := cmd.Output()
	if complaints.Len() > 0 {
		t.Fatalf("doctor: %s\n%s", complaints.String(), out)
	}
	return out
}

// nobody is a user without any right here: in a namespace of its own, and not as root, who would have all rights to the files of who is root here. These are its
// own files all the same, so that what it may not read has no mode at all.
func nobody() *syscall.SysProcAttr {
	id := []syscall.SysProcIDMap{{ContainerID: 1000, Size: 1}}
	return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: id, GidMappings: id}
}

func (f planted) examined(t *testing.T) []doctor.Finding {
	t.Helper()
	var reply struct{ Findings []doctor.Finding }
	out := f.examine(t, "--json")
	if err := json.Unmarshal(out, &reply); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return slices.DeleteFunc(reply.Findings, func(one doctor.Finding) bool { // this kernel's own age is no fault
		return one.ID == "kernel-age" && f.id != one.ID
	})
}
