package e2e

import (
	"fmt"
	"os"
	"strings"
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
	"a way by itself":    {`add element inet trestle direct4 { 10.61.0.2 . 192.0.2.0/24 $tag }`, "set direct4: address 10.61.0.2: expected nothing"},
	"one of IPv6":        {`add element inet trestle direct6 { fd00::2 . 2001:db8::/64 $tag }`, "set direct6: address fd00::2: expected nothing"},
	"clients that are":   {`add element inet trestle near4 { 10.61.0.2 . 192.0.2.0/24 $tag }`, "set near4: address 10.61.0.2: expected nothing"},

	// The same of who asks for no port, and is not apart.
	"a port, of none":           {`add element inet trestle dnat4 { tcp . 22 $tag : 10.61.0.2 . 22 }`, "host port 22/tcp: expected nothing, found 10.61.0.2:22"},
	"under a condition of none": {`add rule inet trestle conditional ip saddr 10.0.0.0/8 tcp dport 22 dnat to 10.61.0.2:22 $tag`, "too many: 1"},

	// And among many of others: as many as a CHECK looks through, and more, of which doctor sees all.
	"a port among 900":    {`add element inet trestle dnat4 { tcp . 22 $tag : 10.61.0.2 . 22 }`, "host port 22/tcp: expected nothing, found 10.61.0.2:22"},
	"a port among 3000":   {`add element inet trestle dnat4 { tcp . 22 $tag : 10.61.0.2 . 22 }`, "host port 22/tcp: expected nothing, found 10.61.0.2:22"},
	"a range among 900":   {`add element inet trestle direct4 { 10.61.0.2 . 192.0.2.0/24 $tag }`, "set direct4: address 10.61.0.2: expected nothing"},
	"a range among 3000":  {`add element inet trestle direct4 { 10.61.0.2 . 192.0.2.0/24 $tag }`, "set direct4: address 10.61.0.2: expected nothing"},
	"a sender among 3000": {`add element bridge trestle mac { "$port" . 02:00:00:00:00:01 $tag }`, "set mac: link veth"},
}

// TestStrays: CHECK names whatever bears a container's mark and his list does not ask for; and nothing of it outlives him, be it that a DEL removes it, or a GC.
func TestStrays(t *testing.T) {
	for name, s := range strays {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				nstest.Namespace(t, "one")
				nstest.Namespace(t, "two")
				list, others := strayed, 1
				if strings.HasSuffix(name, "none") {
					list = strings.NewReplacer(`"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]`, `"portMappings": []`, `"isolated"`, `"open"`).Replace(list)
				}
				if _, many, said := strings.Cut(name, " among "); said {
					_, err := fmt.Sscan(many, &others)
					must(t, err)
				}
				shell(t, list+`one add; cnitool add n /run/netns/two; one check
tag=$(nft list set inet trestle_forward pass4 | grep -o '10\.61\.0\.2 comment "[^"]*"' | sed 's/^[^ ]* //')
port=$(nft list set bridge trestle port | grep -F "$tag" | grep -o 'veth[0-9a-f]*' | head -n 1)
seq $4 | awk '{ a = "10.99." int($1 / 250) "." $1 % 250
	print "add element inet trestle dnat4 { tcp . " 30000 + $1 " : " a " . 80 }\nadd element inet trestle direct4 { " a " . 192.0.2.0/24 }"
	printf "add element bridge trestle mac { \"other\" . 02:00:00:01:%02x:%02x }\n", int($1 / 250), $1 % 250 }' | split -l 1500 --filter 'nft -f -'
one check
nft "$(echo "$2" | sed "s|\\\$tag|$tag|; s|\\\$port|$port|")"
[ $4 -gt 1000 ] || one check 2>&1 | tee /dev/stderr | grep -F "$3"
trestle doctor --conf-dir /run/net.d --bin-dir $1 | tee /dev/stderr | grep -F "$3"
cnitool check n /run/netns/two
one del; ip netns delete one; trestle gc --yes
[ -z "$(nft list ruleset | grep -F "$tag")" ]; cnitool check n /run/netns/two`, os.Getenv(pluginsVar), s[0], s[1], fmt.Sprint(others))
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
