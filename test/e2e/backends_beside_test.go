package e2e

import (
	"os"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// TestBackendsBeside has a network of one backend come to a host with one of the other, and go: what was there stays as it was made.
func TestBackendsBeside(t *testing.T) {
	t.Parallel()
	for first, second := range map[string]string{"iptables": "nftables", "nftables": "iptables"} {
		t.Run(first+" first", func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) { shell(t, besides, os.Getenv(pluginsVar), first, second) })
		})
	}
}

const besides = `mkdir /run/net.d; ln -s "$1" /run/bin
for backend in $2 $3; do
	case $backend in iptables) subnet=10.61.0.0/24;; *) subnet=10.62.0.0/24;; esac
	echo '{"cniVersion": "1.0.0", "name": "'$backend'", "plugins": [{"type": "ptp", "ipMasq": true, "ipMasqBackend": "'$backend'", "ipam": {"type": "host-local", "subnet": "'$subnet'"}},
		{"type": "portmap", "backend": "'$backend'", "capabilities": {"portMappings": true}}, {"type": "firewall", "backend": "'$backend'", "ingressPolicy": "same-bridge"}]}' > /run/net.d/$backend.conflist
	ip netns add $backend
	cnitool add $backend /run/netns/$backend >/dev/null
	cnitool check $2 /run/netns/$2
done
cnitool check $3 /run/netns/$3
cnitool del $3 /run/netns/$3
cnitool check $2 /run/netns/$2
cnitool del $2 /run/netns/$2`
