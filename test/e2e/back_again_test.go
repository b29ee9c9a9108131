package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/reference"
	"github.com/trestle-cni/trestle/test/space"
)

// TestThereAndBackAgain: what ours made the reference deletes, which knows nothing of what we keep beside it. The same container is added again by ours, or
// by the reference, whose work CHECK takes for what it is; and whoever gets the old address is not refused for what is left.
func TestThereAndBackAgain(t *testing.T) {
	t.Parallel()
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) { shell(t, thereAndBack, os.Getenv(pluginsVar), reference.Newest.Dir, backend) })
		})
	}
}

const thereAndBack = `mkdir /run/net.d; ln -s "$1" /run/bin
echo '{"cniVersion": "1.0.0", "name": "n", "plugins": [{"type": "bridge", "bridge": "br0", "isGateway": true, "ipMasq": true, "ipMasqBackend": "'$3'",
	"ipam": {"type": "host-local", "subnet": "10.61.0.0/24"}}, {"type": "portmap", "backend": "'$3'", "snat": true, "capabilities": {"portMappings": true}}]}' > /run/net.d/n.conflist
ours() { CNI_PATH=/run/bin CAP_ARGS='{"portMappings": ['$1']}' cnitool $2 n /run/netns/$3; }
theirs() { CNI_PATH=$reference CAP_ARGS='{"portMappings": ['$web']}' cnitool $1 n /run/netns/one; }
reference=$2
web='{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}' dns='{"hostPort": 53, "containerPort": 53, "protocol": "udp"}'
ip netns add one; ip netns add two
ours "$web" add one; theirs del
ours "$dns" add one; ours "$dns" check one # was "exists already"
[ -z "$(nft list ruleset | grep -F -e 10.61.0.2 -e 8080)" ]
theirs del
theirs add
ours "$web" check one # was a drift, of rules about an address that it does not have
CNI_ARGS=IP=10.61.0.3 ours "$dns" add two # was "held by", of a container that has another address now
ours "$web" check one; ours "$dns" check two
/run/bin/trestle doctor --conf-dir /run/net.d --bin-dir /run/bin
/run/bin/trestle repair | grep "0 mended, 2 were whole"
ours "$dns" del two; ours "$web" del one
[ -z "$(nft list ruleset | grep -F 10.61.0)" ]
doctor() { /run/bin/trestle doctor --conf-dir /run/net.d --bin-dir /run/bin "$@"; }
ours "$web" add one; theirs del; theirs add; ours "$web" check one
if [ $3 = nftables ]; then # a GC takes what is left of ours alone; under iptables the reference's DEL left nothing that a packet meets
	doctor | grep "rules of ours are left of an earlier attachment of that name"
	/run/bin/trestle gc | grep "would remove published ports of an earlier attachment"
	yes | doctor --fix
fi
doctor; ours "$web" check one; [ -z "$(nft list table inet trestle | grep -F 10.61.0)" ]
/run/bin/trestle gc | grep "nothing to remove in 1 networks"
/run/bin/trestle repair | grep "0 mended, 1 were whole"
ours "$web" del one; [ -z "$(nft list ruleset | grep -F 10.61.0)" ]`

// TestNothingOfBefore: whatever the list was, and is now, nothing of what the reference's DEL left is there after an ADD of ours.
func TestNothingOfBefore(t *testing.T) {
	t.Parallel()
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) { shell(t, nothingOfBefore, os.Getenv(pluginsVar), reference.Newest.Dir, backend) })
		})
	}
}

const nothingOfBefore = `mkdir /run/net.d; ln -s "$1" /run/bin; ip netns add one
list() { echo '{"cniVersion": "1.0.0", "name": "n", "plugins": ['$1']}' > /run/net.d/n.conflist; }
ipam='"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.61.0.0/24"}], [{"subnet": "fd61::/64"}]]}'
ports='{"type": "portmap", "backend": "'$3'", "capabilities": {"portMappings": true}}' passes='{"type": "firewall", "backend": "'$3'"}'
export CAP_ARGS='{"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}'
cycle() { list "$1"; CNI_PATH=/run/bin cnitool add n /run/netns/one; CNI_PATH=$reference cnitool del n /run/netns/one
	list "$2"; CNI_PATH=/run/bin CNI_ARGS=IP=10.61.0.77 cnitool add n /run/netns/one
	six=$(ip -n one -6 -o addr show eth0 scope global | grep -o 'fd61::[0-9a-f]*')
	[ -z "$(nft list ruleset | grep -oE '10.61.0.[0-9]+|fd61::[0-9a-f]+' | grep -v -x -e 10.61.0.77 -e 10.61.0.[01] -e fd61::1 -e $six)" ]
	CNI_PATH=/run/bin cnitool check n /run/netns/one; CNI_PATH=/run/bin cnitool del n /run/netns/one; }
reference=$2
for kind in '"bridge", "bridge": "br0", "isGateway": true' '"ptp"'; do
	bare="{\"type\": $kind, $ipam}" masq="{\"type\": $kind, \"ipMasq\": true, \"ipMasqBackend\": \"$3\", $ipam}"
	for before in "$bare, $ports" "$bare, $passes" "$masq, $ports, $passes"; do
		cycle "$before" "$before"; cycle "$before" "$bare"; cycle "$before" "$bare, $ports"
	done
	CAP_ARGS='' cycle "$masq" "$bare, $ports"
done
[ -z "$(nft list ruleset | grep -E '10.61.0|fd61::')" ]`

// TestNothingOfBeforeByOthers wants the same of the plugins that make the interface and have no packet filter to look in: whatever is chained after them in ours sees to it, be the
// address another or the same.
func TestNothingOfBeforeByOthers(t *testing.T) {
	kinds := []string{macvlans, devices}
	if space.Tun() { // who may not is told so: tap.txtar
		kinds = append(kinds, taps)
	}
	for _, backend := range backends {
		nothingOfBeforeByOthers(t, backend, kinds...)
	}
}

// The plugins that make an interface without another end on the host, each with what it needs there.
const (
	macvlans = `"macvlan", "master": "up0"`
	taps     = `"tap"`
	devices  = `"host-device", "device": "up1"`
)

// kindName is the plugin's.
func kindName(kind string) string {
	name, _, _ := strings.Cut(strings.Trim(kind, `"`), `"`)
	return name
}

func nothingOfBeforeByOthers(t *testing.T, backend string, kinds ...string) {
	for _, kind := range kinds {
		t.Run(kindName(kind)+"/"+backend, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				shell(t, nothingOfBeforeByOther, os.Getenv(pluginsVar), reference.Newest.Dir, backend, kind)
			})
		})
	}
}

const nothingOfBeforeByOther = `mkdir /run/net.d; ln -s "$1" /run/bin; ip netns add one; ip netns add two; ip -n one link set lo up
ip link add up0 type veth peer name up1; ip link set up0 up; ip link set up1 up
list() { echo '{"cniVersion": "1.0.0", "name": "n", "plugins": ['$1']}' > /run/net.d/n.conflist; }
ipam='"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.61.0.0/24"}], [{"subnet": "fd61::/64"}]]}'
ports='{"type": "portmap", "backend": "'$3'", "capabilities": {"portMappings": true}}' passes='{"type": "firewall", "backend": "'$3'"}'
port() { export CAP_ARGS='{"portMappings": [{"hostPort": '$1', "containerPort": 80, "protocol": "tcp"}]}'; }
rules() { nft list ruleset | grep -E "$1" || true; }
reference=$2 bare="{\"type\": $4, $ipam}"
cycle() { port 8080; list "$1"; CNI_PATH=/run/bin CNI_ARGS=IP=10.61.0.7 cnitool add n /run/netns/one; CNI_PATH=$reference cnitool del n /run/netns/one
	port 9090; list "$2"; CNI_PATH=/run/bin CNI_ARGS=IP=$3 cnitool add n /run/netns/one
	six=$(ip -n one -6 -o addr show eth0 scope global | grep -o 'fd61::[0-9a-f]*')
	[ -z "$(nft list ruleset | grep -oE '10.61.0.[0-9]+|fd61::[0-9a-f]+' | grep -v -x -e $3 -e 10.61.0.0 -e $six)" ]
	[ -z "$(rules '[^0-9]8080[^0-9]')" ]
	case "$2" in *portmap*) [ -n "$(rules '[^0-9]9090[^0-9]')" ];; esac
	CNI_PATH=/run/bin cnitool check n /run/netns/one; /run/bin/trestle repair | grep "0 mended, 1 were whole"
	CNI_PATH=/run/bin cnitool del n /run/netns/one; [ -z "$(rules '10.61.0.[1-9]|fd61::[1-9]|9090')" ]; }
for address in 10.61.0.77 10.61.0.7; do
	cycle "$bare, $ports" "$bare, $passes" $address; cycle "$bare, $passes" "$bare, $ports" $address
	cycle "$bare, $ports, $passes" "$bare, $ports, $passes, $ports, $passes" $address # the second of two finds what the first made, and not what is left
done
# who lives, by a runtime's word, is not made anew under other walls
list "$bare, $ports"; CNI_PATH=/run/bin cnitool add n /run/netns/one; rm -r /var/lib/cni/networks
[ $4 = '"host-device", "device": "up1"' ] || ! CNI_PATH=/run/bin cnitool add n /run/netns/two`
