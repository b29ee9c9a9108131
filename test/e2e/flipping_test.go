package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
	"github.com/trestle-cni/trestle/test/space"
)

// flips is how often each verb is called while its path leads now to the container and now to the host.
const flips = 40

// flipped are plugins of each kind. One that is chained comes after ptp.
var flipped = map[string]struct {
	plugin, config string
	chained        bool
}{
	"bridge":      {"bridge", network(flippedKeys), false},
	"loopback":    {"loopback", loConfig, false},
	"chain":       {"trestle", `{"cniVersion": "1.1.0", "name": "net", "type": "trestle", "plugins": [{"type": "loopback"}, {"type": "bridge", ` + flippedKeys + `}]}`, false},
	"ptp":         {"ptp", network(`"type": "ptp", "ipMasq": true, ` + hostLocal(subnet)), false},
	"macvlan":     {"macvlan", network(`"type": "macvlan", "master": "lan0", "hostShim": true, ` + hostLocal(subnet)), false},
	"ipvlan":      {"ipvlan", network(`"type": "ipvlan", "master": "lan0", ` + hostLocal(subnet)), false},
	"vlan":        {"vlan", network(`"type": "vlan", "master": "lan0", "vlanId": 5, ` + hostLocal(subnet)), false},
	"tap":         {"tap", network(`"type": "tap", "bridge": "", ` + hostLocal(subnet)), false},
	"dummy":       {"dummy", network(`"type": "dummy", ` + hostLocal(subnet)), false},
	"host-device": {"host-device", network(`"type": "host-device", "device": "dev0", "restore": "addresses", ` + hostLocal(subnet)), false},
	"static":      {"ptp", network(`"type": "ptp", "ipam": {"type": "static", "detectConflict": true, "addresses": [{"address": "10.1.0.2/24"}]}`), false},
	"sbr":         {"sbr", network(`"type": "sbr"`), true},
	"vrf":         {"vrf", network(`"type": "vrf", "vrfname": "red"`), true},
	"tuning":      {"tuning", network(`"type": "tuning", "mtu": 1400, "mac": "02:00:00:00:00:01", "sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1", "net.ipv4.tcp_keepalive_time": "77"}`), true},
	"bandwidth":   {"bandwidth", network(`"type": "bandwidth", "ingressRate": 8000000, "ingressBurst": 800000, "egressRate": 8000000, "egressBurst": 800000`), true},
	"firewall":    {"firewall", network(`"type": "firewall"`), true},
	"portmap":     {"portmap", network(`"type": "portmap", "runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}`), true},
}

var flippedKeys = `"isDefaultGateway": true, ` + hostLocal(subnet)

// TestFlippingPath gives plugins a path that another process makes lead to the host's own namespace and to the container's in turn, as fast as it
// can. What was looked at is what is used: a call works in the container, or says that it was given the host's namespace, and the host stays
// as it is.
func TestFlippingPath(t *testing.T) {
	for name, c := range flipped {
		if c.plugin == "tap" && !space.Tun() {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				path := nstest.Namespace(t, "c1")
				shell(t, `ip link add lan0 type veth peer name lan1; ip link set lan1 up; ip link set lan0 up; ip addr add 10.1.0.250/24 dev lan0; echo 1 > /proc/sys/net/ipv4/ip_forward
					ip link add dev0 type veth peer name far0; ip link set far0 up; ip addr add 198.18.0.1/24 dev dev0; ip link set dev0 up`)
				config := c.config
				if c.chained {
					config = previously(config, succeed(t, "ADD", "ptp", "c1", network(`"type": "ptp", `+hostLocal(subnet))).Out)
				}
				if r, err := invoke("ADD", c.plugin, "c1", config, flippedName(c.plugin)); err == nil && r.Code == fault.Unsupported {
					return // not with this kernel
				}
				succeed(t, "DEL", c.plugin, "c1", config, flippedName(c.plugin)) // what containers share is there
				flip(t, path, c.plugin, config)
			})
		})
	}
}

func flippedName(plugin string) string {
	if plugin == "loopback" {
		return "CNI_IFNAME=lo"
	}
	return "CNI_IFNAME=eth0"
}

func flip(t *testing.T, path, plugin, config string) {
	before, whole := ownLinks(t), snapshot.Take(t, path)
	defer flipping(t, "/run/flip", path, "/proc/self/ns/net")()
	made := 0
	for range flips {
		for _, verb := range []string{"ADD", "CHECK", "DEL"} {
			got, err := invoke(verb, plugin, "c1", config, "CNI_NETNS=/run/flip", flippedName(plugin))
			must(t, err)
			if verb == "ADD" && got.Status == 0 {
				made++
			} else if verb == "ADD" && got.Code != fault.Namespace {
				t.Errorf("%s: code %d: %s", verb, got.Code, got.Msg)
			}
			if diff := cmp.Diff(before, ownLinks(t)); diff != "" {
				t.Fatalf("the host after %s (-want +got):\n%s", verb, diff)
			}
		}
		succeed(t, "DEL", plugin, "c1", config, flippedName(plugin))
	}
	if made == 0 || made == flips {
		t.Errorf("%d of %d ADDs were given the container: the path did not flip", made, flips)
	}
	tuned := func(line string) bool { return plugin == "tuning" && strings.HasPrefix(line, "c1 ") } // a DEL that is led to the host takes the container for dead, and gives it nothing back
	if diff := snapshot.Diff(snapshot.Without(whole, tuned), snapshot.Without(snapshot.Take(t, path), tuned)); diff != "" {
		t.Errorf("left:\n%s", diff)
	}
}

// containers is what is on the host of a container's: its end, its bridge, its rates, a device that is lent, and what is in the packet filter and in files.
var containers = regexp.MustCompile(`veth[0-9a-f]{11}|cni0|bwp|dev0|^host (?:reservation|backup|rule inet|rule bridge|set|element|map|table|chain) `)

// ownLinks are the host's links, addresses and routes, less what is a container's.
func ownLinks(t *testing.T) string {
	t.Helper()
	var kept []string
	for line := range strings.Lines(snapshot.Take(t)) {
		if strings.HasPrefix(line, "host ") && !containers.MatchString(line) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// flipping makes a symbolic link lead to one path and to the other in turn, several times a millisecond, until stop is called. Not without a pause: each
// renaming holds up whoever looks for a path on the machine.
func flipping(t *testing.T, link string, paths ...string) (stop func()) {
	t.Helper()
	must(t, os.Symlink(paths[0], link))
	done, stopped := make(chan struct{}), make(chan error)
	go func() {
		pause := time.NewTicker(200 * time.Microsecond)
		defer pause.Stop()
		for i := 0; ; i++ {
			select {
			case <-done:
				stopped <- nil
				return
			case <-pause.C:
			}
			next := filepath.Join(filepath.Dir(link), "next")
			if err := os.Symlink(paths[i%len(paths)], next); err != nil {
				stopped <- err
				return
			}
			if err := os.Rename(next, link); err != nil {
				stopped <- err
				return
			}
		}
	}()
	return func() {
		close(done)
		must(t, <-stopped)
	}
}
