package e2e

import (
	"os"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// linkFaults are what breaks of interfaces that are one link, on the host of doctor's tests with a container on a wire (lan, eth1 of two), whose answers leave by
// that interface, and one with a device of the host's (lone, eth1 of four).
var linkFaults = map[string]planted{
	"parent down":                {id: "parent-down", plant: "ip link set lan0 down", fix: true},
	"parent gone":                {id: "drift", plant: "ip link del lan0"},
	"device stranded":            {id: "device-stranded", before: stranded, fix: true},
	"device stranded, forgotten": {id: "device-stranded", before: stranded + "; rm /var/lib/cni/results/lone-*", fix: true},
	"device set down inside":     {id: "interface-down", plant: "ip -n four link set eth1 down"},
	"own table emptied":          {id: "drift", plant: "ip -n two route flush table 100"},
	"rules gone":                 {id: "drift", plant: "ip -n two rule del from 10.7.0.2", fix: true},
	"shim gone":                  {id: "drift", plant: `ip link del $(ip -o link show type macvlan | sed 's/^[0-9]*: \([^@]*\)@.*/\1/')`, fix: true},
}

// TestDoctorOfLinks breaks one thing at a time. Doctor names that, and nothing else; where it has a fix, that cures it.
func TestDoctorOfLinks(t *testing.T) {
	for name, f := range linkFaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				healthy(t)
				shell(t, wired, os.Getenv(pluginsVar))
				linksWhole := whole + `
export CNI_IFNAME=eth1; cnitool check lan /run/netns/two; ip link show dev0 || cnitool check lone /run/netns/four`
				f.diagnose(t, linksWhole)
				if name == "own table emptied" { // macvlan misses its routes, too, and cannot know that sbr makes them again
					shell(t, `"$1/trestle" repair`, os.Getenv(pluginsVar))
					shell(t, linksWhole)
				}
			})
		})
	}
}

const wired = `for plugin in macvlan host-device static sbr; do ln -s "$1/$plugin" /run/bin/$plugin; done
ip link add lan0 type veth peer name lan1; ip link set lan1 up; ip link set lan0 up; ip addr add 10.7.0.1/24 dev lan0
ip link add dev0 address 02:00:00:00:00:07 type veth peer name far0; ip link set far0 up; ip link set dev0 up
echo '{"cniVersion": "1.0.0", "name": "lan", "plugins": [{"type": "macvlan", "master": "lan0", "hostShim": true,
  "ipam": {"type": "static", "addresses": [{"address": "10.7.0.2/24", "gateway": "10.7.0.9"}]}}, {"type": "sbr"}]}' > /run/net.d/60-lan.conflist
echo '{"cniVersion": "1.0.0", "name": "lone", "plugins": [{"type": "host-device", "device": "dev0"}]}' > /run/net.d/61-lone.conflist
export CNI_IFNAME=eth1
cnitool add lan /run/netns/two > /dev/null
cnitool add lone /run/netns/four > /dev/null`

// stranded moves a device as the kernel does it with those of a machine when their namespace ends; what tests have for one goes with it.
const stranded = `ip -n four link set eth1 netns $$ name x9
cnitool del four /run/netns/four; ip netns del four`
