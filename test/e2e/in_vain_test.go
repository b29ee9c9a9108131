package e2e

import (
	"os"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// inVain are rules that somebody puts before ours into chains that are the suite's, under backend iptables, so that no packet gets to those; and a jump of ours that he moved
// behind what accepts. Each with the program, and the chain.
var inVain = map[string][3]string{
	"containers' own rules":         {"iptables", "CNI-FORWARD", "-I CNI-FORWARD -j RETURN"},
	"those, dropped":                {"iptables", "CNI-FORWARD", "-I CNI-FORWARD 2 -m comment --comment mine -j DROP"},
	"those, of IPv6":                {"ip6tables", "CNI-FORWARD", "-I CNI-FORWARD 2 -j RETURN"},
	"published ports":               {"iptables", "TRESTLE-PUBLISHED", "-I TRESTLE-PUBLISHED -j RETURN"},
	"what comes from a segment":     {"iptables", "CNI-ISOLATION-STAGE-1", "-I CNI-ISOLATION-STAGE-1 -j RETURN"},
	"what goes to one":              {"iptables", "CNI-ISOLATION-STAGE-2", "-I CNI-ISOLATION-STAGE-2 -j ACCEPT"},
	"between ports, of IPv6":        {"ip6tables", "CNI-ISOLATION-STAGE-1", "-I CNI-ISOLATION-STAGE-1 2 -j RETURN"},
	"the operator's chain, at last": {"iptables", "CNI-FORWARD", `-D CNI-FORWARD 1; iptables -A CNI-FORWARD -m comment --comment "CNI firewall plugin admin overrides" -j CNI-ADMIN`},
}

// TestInVain: of each CHECK and doctor tell; a repair puts ours before it, leaves it where it is, and makes nothing else of what there was.
func TestInVain(t *testing.T) {
	for name, v := range inVain {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				nstest.Namespace(t, "one")
				nstest.Namespace(t, "two")
				shell(t, `mkdir -p /run/net.d; export CNI_PATH=$1 PATH=$1:$PATH
cat > /run/net.d/n.conflist <<END
{"cniVersion": "1.1.0", "name": "n", "plugins": [{"type": "bridge", "bridge": "br0", "isDefaultGateway": true,
	"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.61.0.0/24"}], [{"subnet": "fd00::/64"}]]}}, {"type": "firewall", "backend": "iptables", "ingressPolicy": "isolated"}]}
END
iptables -P FORWARD DROP; ip6tables -P FORWARD DROP
cnitool add n /run/netns/one; cnitool add n /run/netns/two; cnitool check n /run/netns/one
saved() { for p in iptables ip6tables; do $p-save -t filter | sed 's/\[.*//; /^#/d'; done; }
saved > /run/before
eval "$2 $4"; saved > /run/planted
! cnitool check n /run/netns/one || exit 1
trestle doctor --conf-dir /run/net.d --bin-dir $1 | tee /dev/stderr | grep "chain $3: expected"
trestle repair; cnitool check n /run/netns/one; cnitool check n /run/netns/two
[ "$($2 -S $3 | sed -n 2p)" = "$($2 -S $3 | grep -v -e '^-N' -e "^-A $3 -j" -e mine | head -n 1)" ]
saved | sort > /run/after; sort /run/planted | diff - /run/after
cnitool del n /run/netns/one; cnitool del n /run/netns/two; trestle gc --yes
[ "$(iptables -S | grep -c -e 10.61.0 -e br0)" = 0 ]`, os.Getenv(pluginsVar), v[0], v[1], v[2])
			})
		})
	}
}
