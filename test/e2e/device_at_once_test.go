package e2e

import (
	"os"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// TestDeviceAskedAtOnce: of containers that ask for one device in the same moment one gets it, each other is told that somebody has it, and nothing of theirs is left.
func TestDeviceAskedAtOnce(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) { shell(t, askedAtOnce, os.Getenv(pluginsVar)) })
}

const askedAtOnce = `mkdir /run/net.d; ln -s "$1" /run/bin
ip link add dev0 type veth peer name far0; ip link set dev0 up
for c in 1 2 3 4 5 6; do ip netns add m$c; done
echo '{"cniVersion": "1.1.0", "name": "nic", "plugins": [{"type": "host-device", "device": "dev0", "ipam": {"type": "host-local", "subnet": "10.8.0.0/24"}}]}' > /run/net.d/nic.conflist
reserved() { ls /var/lib/cni/networks/nic | grep -c '^10' || true; }
for round in 1 2 3 4; do
	pids=
	for c in 1 2 3 4 5 6; do
		(if cnitool add nic /run/netns/m$c > /run/said$c 2>&1; then echo $c; else grep -q 'device dev0: attachment nic/.*/eth0 has it' /run/said$c || { cat /run/said$c; echo not told; }; fi) > /run/came$c &
		pids="$pids $!"
	done
	for pid in $pids; do wait $pid; done
	won=$(cat /run/came?); ip -n m$won link show eth0 > /dev/null || { echo "won: $won"; exit 1; }
	cnitool check nic /run/netns/m$won; [ "$(reserved)" = 1 ]; [ "$(ls /run/cni/trestle/devices | wc -l)" = 1 ]
	for c in 1 2 3 4 5 6; do cnitool del nic /run/netns/m$c; done
	ip -brief link show dev0 | grep -q UP; [ "$(reserved)" = 0 ]; [ "$(ls /run/cni/trestle/devices | wc -l)" = 0 ]
done`
