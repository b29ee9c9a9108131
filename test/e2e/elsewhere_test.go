package e2e

import (
	"os"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// TestElsewhere runs the tool where the host's files are, and what was mounted on them since is not, as in a container that has /run and /var/lib of the host: to that, the names of all
// namespaces that came later are empty files. Nothing of those that live is removed.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) { shell(t, toldOfNone, os.Getenv(pluginsVar)) })
}

const toldOfNone = `ln -s "$1" /run/bin; mkdir /run/net.d; ip link add up0 type veth peer name up1; ip link set up0 up; ip netns add early; ip netns del early
pair='"ipMasq": true, "ipam": {"type": "host-local", "subnet": "10.61.0.0/24"}}'
echo '{"cniVersion": "1.0.0", "name": "pair", "plugins": [{"type": "ptp", '$pair', {"type": "firewall"}]}' > /run/net.d/1.conflist
echo '{"cniVersion": "1.0.0", "name": "lan", "plugins": [{"type": "macvlan", "master": "up0", "ipam": {"type": "host-local", "subnet": "10.62.0.0/24"}}, {"type": "firewall"}]}' > /run/net.d/2.conflist
echo '{"cniVersion": "1.0.0", "name": "fixed", "plugins": [{"type": "macvlan", "master": "up0", "ipam": {"type": "static", "addresses": [{"address": "10.63.0.2/24"}]}}, {"type": "firewall"}]}' > /run/net.d/3.conflist
mkfifo /run/go; unshare --mount --propagation private sh -c 'read word < /run/go; for c in "gc --yes" repair "doctor --fix --yes --conf-dir /run/net.d --bin-dir /run/bin"; do
	/run/bin/trestle $c || echo "$c: status $?"; done' > /run/said 2>&1 & there=$!
for n in pair lan fixed; do ip netns add c_$n; cnitool add $n /run/netns/c_$n > /dev/null; done
before=$(nft list ruleset; ls /var/lib/cni/results /var/lib/cni/networks/*)
echo on > /run/go; wait $there; cat /run/said
[ "$before" = "$(nft list ruleset; ls /var/lib/cni/results /var/lib/cni/networks/*)" ]
for n in pair lan fixed; do ip -n c_$n link show eth0 > /dev/null; cnitool check $n /run/netns/c_$n; done`

// TestWordsOfCollection: what gc leaves is told as that, and nobody is sent to --yes for it; what several plugins find goes once.
func TestWordsOfCollection(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) { shell(t, wordsOfCollection, os.Getenv(pluginsVar)) })
}

const wordsOfCollection = `ln -s "$1" /run/bin; mkdir -p /etc/cni/net.d /run/cni/trestle/devices; export NETCONFPATH=/etc/cni/net.d
echo '{"cniVersion": "1.1.0", "name": "lent", "plugins": [{"type": "host-device", "device": "dev0"}]}' > /etc/cni/net.d/1.conflist
echo '{' > /run/cni/trestle/devices/00.json
for yes in "" --yes; do
	out=$(/run/bin/trestle gc $yes); echo "$out"
	echo "$out" | grep "left as it is: .*devices/00.json: torn"
	echo "$out" | grep -x "nothing to remove in 1 networks"
	! echo "$out" | grep "gc --yes does it"
	/run/bin/trestle gc $yes --json | tr -d ' \n' | grep -F '"removed":[],"notes":[{"network":"lent","what":"host-device:leftasitis'
done
ip link add up0 type veth peer name up1
echo '{"cniVersion": "1.1.0", "name": "lan", "plugins": [{"type": "macvlan", "master": "up0", "ipam": {"type": "host-local", "subnet": "10.61.0.0/24"}}, {"type": "firewall"}]}' > /etc/cni/net.d/2.conflist
ip netns add dies; cnitool add lan /run/netns/dies > /dev/null; rm -r /var/lib/cni/results; ip netns del dies
end=$(($(date +%s) + 60)); until out=$(/run/bin/trestle gc); echo "$out" | grep "gc --yes does it"; do [ $(date +%s) -lt $end ]; done
echo "$out"; [ "$(echo "$out" | grep -c "firewall: would remove attachment")" = 1 ]
# The list has lost the plugin, and the tool knows no more than the list.
echo '{"cniVersion": "1.1.0", "name": "lan", "plugins": [{"type": "macvlan", "master": "up0", "ipam": {"type": "host-local", "subnet": "10.61.0.0/24"}}]}' > /etc/cni/net.d/2.conflist
/run/bin/trestle gc --yes; [ -z "$(nft list ruleset | grep -F 10.61.0.2)" ]; ! ls /var/lib/cni/networks/lan/10.61.0.2; [ -z "$(ls /run/cni/trestle/chained/firewall)" ]`
