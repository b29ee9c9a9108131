package e2e

import (
	"os"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// TestRepairIsSwept has the rules swept away again at once as a repair has made them, as a firewall does that begins with it: they are made once more, and the repair says
// that all is as it was made. What cannot be made again is said once.
func TestRepairIsSwept(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		nstest.Namespace(t, "one")
		nstest.Namespace(t, "two")
		shell(t, `mkdir -p /run/net.d /run/bin; export CNI_PATH=$1 PATH=$1:$PATH
cat > /run/net.d/n.conflist <<END
{"cniVersion": "1.1.0", "name": "n", "plugins": [{"type": "bridge", "bridge": "br0", "isDefaultGateway": true, "ipMasq": true, "ipMasqBackend": "iptables",
	"ipam": {"type": "host-local", "subnet": "10.61.0.0/24"}}]}
END
cat > /run/bin/iptables-restore <<'END'
#!/bin/sh
/usr/sbin/iptables-restore "$@" || exit
[ "$1" = --version ] || ! rm /run/sweep 2>/dev/null || iptables -t nat -F
END
chmod +x /run/bin/*
cnitool add n /run/netns/one; cnitool add n /run/netns/two
for sweep in 1 2; do
	iptables -t nat -F
	touch /run/sweep
	PATH=/run/bin:$PATH trestle repair
	[ ! -e /run/sweep ]
	cnitool check n /run/netns/one; cnitool check n /run/netns/two
done
ip -n one link set eth0 down
! trestle repair >/run/said 2>&1 || exit 1
cat /run/said
[ "$(grep -c '^n/.*link eth0: expected up, found down' /run/said)" = 1 ]`, os.Getenv(pluginsVar))
	})
}
