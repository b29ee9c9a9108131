package e2e

import (
	"os"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// TestBackendsBeside has a network of nftables come to a host with one of iptables, and go: what was there stays as it was made.
func TestBackendsBeside(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		shell(t, `mkdir /run/net.d; ln -s "$1" /run/bin
for backend in iptables nftables; do
	case $backend in iptables) subnet=10.61.0.0/24;; *) subnet=10.62.0.0/24;; esac
	echo '{"cniVersion": "1.0.0", "name": "'$backend'", "plugins": [{"type": "ptp", "ipMasq": true, "ipMasqBackend": "'$backend'", "ipam": {"type": "host-local", "subnet": "'$subnet'"}},
		{"type": "portmap", "backend": "'$backend'", "capabilities": {"portMappings": true}}, {"type": "firewall", "backend": "'$backend'", "ingressPolicy": "same-bridge"}]}' > /run/net.d/$backend.conflist
	ip netns add $backend
	cnitool add $backend /run/netns/$backend >/dev/null
	cnitool check iptables /run/netns/iptables
done
cnitool check nftables /run/netns/nftables
cnitool del nftables /run/netns/nftables
cnitool check iptables /run/netns/iptables
cnitool del iptables /run/netns/iptables`, os.Getenv(pluginsVar))
	})
}
