package e2e

import (
	"os"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/reference"
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
[ $3 = nftables ] || ours "$web" check one # was a drift of the ledger, which no packet meets
CNI_ARGS=IP=10.61.0.3 ours "$dns" add two # was "held by", of a container that has another address now
ours "$web" check one; ours "$dns" check two
/run/bin/trestle doctor --conf-dir /run/net.d --bin-dir /run/bin
/run/bin/trestle repair | grep "0 mended, 2 were whole"
ours "$dns" del two; ours "$web" del one
[ -z "$(nft list ruleset | grep -F 10.61.0)" ]`
