package e2e

import (
	"os"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/reference"
)

// TestLeakedPass: what lets a dead container pass is found by doctor and removed by gc, on a network without ports and masquerade, be it remembered by a runtime or not; what the
// living have stays. The reference's rules name nobody: the address proves whose they are.
func TestLeakedPass(t *testing.T) {
	for _, backend := range backends {
		for _, kind := range []string{`"bridge", "bridge": "br0", "isGateway": true`, macvlans} {
			t.Run(backend+"/"+kind[1:4], func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) { shell(t, leakedPass, os.Getenv(pluginsVar), os.Getenv(pluginsVar), backend, kind) })
			})
			t.Run(backend+"/reference/"+kind[1:4], func(t *testing.T) {
				if t.Parallel(); kind == macvlans {
					return // of which nothing of the reference's tells that it is dead
				}
				nstest.Run(t, func(t *testing.T) {
					shell(t, leakedPass, os.Getenv(pluginsVar), reference.Newest.Dir, backend, kind)
				})
			})
		}
	}
}

const leakedPass = `mkdir /run/net.d; ln -s "$1" /run/bin; maker=$2; ip link add up0 type veth peer name up1; ip link set up0 up
echo '{"cniVersion": "1.0.0", "name": "n", "plugins": [{"type": '$4', "ipam": {"type": "host-local", "subnet": "10.61.0.0/24"}}, {"type": "firewall", "backend": "'$3'"}]}' > /run/net.d/n.conflist
add() { ip netns add $1; ip -n $1 link set lo up; CNI_PATH=$maker CNI_ARGS="IgnoreUnknown=1;IP=$2" cnitool add n /run/netns/$1; }
rules() { nft list ruleset | grep -F "$1" || true; }
doctor() { /run/bin/trestle doctor --conf-dir /run/net.d --bin-dir /run/bin "$@" || true; }
living() { nft list ruleset | grep -o '10\.61\.0\.2[^0-9]' | wc -l; }
add lives 10.61.0.2
for remembered in yes no; do
	add dies 10.61.0.3
	doctor; [ -z "$(doctor | grep leaked-rules)" ]
	ip netns delete dies; end=$(($(date +%s) + 60))
	if [ $remembered = no ]; then # only what a reservation of ours has, or a link of ours had, is a proof then
		[ $maker = "$1" ] || continue
		rm $(grep -l -F /run/netns/dies -r /var/lib/cni/results)
	fi
	[ -n "$(rules 10.61.0.3)" ]
	until doctor | grep leaked-rules; do [ $(date +%s) -lt $end ]; done # the kernel ends a namespace in its own time
	doctor | grep "rules are left of a container that is dead"
	before=$(living)
	if [ $remembered = yes ]; then yes | doctor --fix; else /run/bin/trestle gc --yes; fi
	[ -z "$(rules 10.61.0.3)" ]
	[ "$(living)" = "$before" ]
	[ -z "$(doctor | grep leaked-rules)" ]; CNI_PATH=/run/bin cnitool check n /run/netns/lives
done`
