package e2e

import (
	"os"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// strays are put by hand beside what a container has, with its mark, $tag, and without an entry of the list that asks for them; each with what CHECK says.
var strays = map[string][2]string{
	"a port":             {`add element inet trestle dnat4 { tcp . 22 $tag : 10.61.0.2 . 22 }`, "host port 22/tcp: expected nothing, found 10.61.0.2:22"},
	"a port of IPv6":     {`add element inet trestle dnat6 { tcp . 22 $tag : fd00::2 . 22 }`, "host port [::]:22/tcp: expected nothing"},
	"at an address":      {`add element inet trestle dnat4ip { 192.0.2.1 . udp . 53 $tag : 10.61.0.2 . 53 }`, "host port 192.0.2.1:53/udp: expected nothing"},
	"under a condition":  {`add rule inet trestle conditional ip saddr 10.0.0.0/8 tcp dport 22 dnat to 10.61.0.2:22 $tag`, "too many: 1"},
	"an address passes":  {`add element inet trestle_forward pass4 { 10.61.0.99 $tag }`, "set pass4: address 10.61.0.99: expected nothing"},
	"so of IPv6":         {`add element inet trestle_forward pass6 { fd00::99 $tag }`, "set pass6: address fd00::99: expected nothing"},
	"one is masqueraded": {`add element inet trestle masq4 { 10.61.0.99 $tag }`, "set masq4: address 10.61.0.99: expected nothing"},
	"a sender":           {`add element bridge trestle mac { "$port" . 02:00:00:00:00:01 $tag }`, "set mac: link veth"},
	"a port apart":       {`add element bridge trestle_forward alone { "other" $tag }`, "set alone: link other: expected nothing"},
}

// TestStrays: CHECK names whatever bears a container's mark and his list does not ask for; and nothing of it outlives him, be it that a DEL removes it, or a GC.
func TestStrays(t *testing.T) {
	for name, s := range strays {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				nstest.Namespace(t, "one")
				nstest.Namespace(t, "two")
				shell(t, strayed+`one add; cnitool add n /run/netns/two; one check
tag=$(nft list set inet trestle_forward pass4 | grep -o '10\.61\.0\.2 comment "[^"]*"' | sed 's/^[^ ]* //')
port=$(nft list set bridge trestle port | grep -F "$tag" | grep -o 'veth[0-9a-f]*' | head -n 1)
nft "$(echo "$2" | sed "s|\\\$tag|$tag|; s|\\\$port|$port|")"
one check 2>&1 | tee /dev/stderr | grep -F "$3"
trestle doctor --conf-dir /run/net.d --bin-dir $1 | tee /dev/stderr | grep -F "$3"
cnitool check n /run/netns/two
one del; ip netns delete one; trestle gc --yes
[ -z "$(nft list ruleset | grep -F "$tag")" ]; cnitool check n /run/netns/two`, os.Getenv(pluginsVar), s[0], s[1])
			})
		})
	}
}

const strayed = `mkdir -p /run/net.d; c=/run/netns/one; export CNI_PATH=$1 PATH=$1:$PATH
cat > /run/net.d/n.conflist <<END
{"cniVersion": "1.1.0", "name": "n", "plugins": [{"type": "bridge", "bridge": "br0", "isDefaultGateway": true, "ipMasq": true, "macspoofchk": true,
	"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.61.0.0/24"}], [{"subnet": "fd00::/64"}]]}},
	{"type": "portmap", "capabilities": {"portMappings": true}}, {"type": "firewall", "ingressPolicy": "isolated"}]}
END
one() { CAP_ARGS='{"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}' cnitool $1 n $c; }
`
