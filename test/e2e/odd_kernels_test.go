//go:build kernels

package e2e

import (
	"os"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/reference"
)

// twoOnWire begins each of the scripts below: two containers, a wire, and words for calls. Whatever a script did, del leaves nothing of it.
const twoOnWire = `mkdir /run/net.d; ln -s "$1" /run/bin
for c in one two; do ip netns add $c; ip -n $c link set lo up; done
ip link add up0 type veth peer name far0; ip link set up0 up; ip link set far0 up
net() { echo '{"cniVersion": "1.1.0", "name": "'$1'", "plugins": ['"$2"']}' > /run/net.d/$1.conflist; }
call() { verb=$1 net=$2 c=$3; shift 3; cnitool "$@" $verb $net /run/netns/$c; }
refused() { words=$1; shift; if out=$("$@" 2>&1); then echo "not refused: $*: $out"; exit 1; fi; case "$out" in *"$words"*) ;; *) echo "$out; want $words"; exit 1; esac; }
nothing() { for c in one two; do [ "$(ip -n $c -o link show type $1 | wc -l)" = 0 ]; done; [ -z "$(ls /var/lib/cni/networks/*/ 2>/dev/null | grep '^[0-9]')" ]; }
ipam='"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.61.0.0/24"}], [{"subnet": "fd61::/64"}]], "routes": [{"dst": "192.0.2.0/24"}]}'
raw() { verb=$1 plugin=$2; shift 2; env CNI_COMMAND=$verb CNI_CONTAINERID=raw CNI_NETNS=/run/netns/one CNI_IFNAME=eth0 "$@" /run/bin/$plugin; }
`

// oddParents are what may be with links that hang on others, kind by kind.
var oddParents = map[string]string{
	"vlan, its parent down": `net v '{"type": "vlan", "master": "up0", "vlanId": 5, '"$ipam"'}'; ip link set up0 down
		refused "up0: down" call status v one; refused "up0: down" call add v one; nothing vlan
		ip link set up0 up; call add v one; call check v one; call del v one; nothing vlan`,
	"vlan, first and last": `net a '{"type": "vlan", "master": "up0", "vlanId": 1, '"$ipam"'}'; net b '{"type": "vlan", "master": "up0", "vlanId": 4094}'
		call add a one; call add b one -i net1; call check a one; call check b one -i net1; call del b one -i net1; call del a one; nothing vlan`,
	"vlan of a VLAN": `ip link add link up0 name up0.7 type vlan id 7; ip link set up0.7 up; net v '{"type": "vlan", "master": "up0.7", "vlanId": 7, '"$ipam"'}'
		call add v one; call check v one; ip link set up0.7 down; call del v one; nothing vlan`,
	"vlan, another's": `net v '{"type": "vlan", "master": "up0", "vlanId": 5, '"$ipam"'}'; ip link add link up0 name mine type vlan id 5
		refused "VLAN 5 of up0: is link mine of the host already" call add v one; nothing vlan
		ip link del mine; ip link add link up0 name mine type vlan proto 802.1ad id 5; call add v one; call check v one; call del v one; nothing vlan`,
	"vlan, in the container": `ip -n one link add p0 index 77 type dummy; ip -n one link set p0 up
		ip link add x0 index 77 type dummy; ip link set x0 up; ip link add link x0 name misled type vlan id 5
		net v '{"type": "vlan", "master": "p0", "linkInContainer": true, "vlanId": 5, '"$ipam"'}'
		call add v one; call check v one; refused "is link eth0 of the container" call add v one -i net1; call check v one; call del v one; nothing vlan`,
	"vlan, mtu": `net v '{"type": "vlan", "master": "up0", "vlanId": 5, "mtu": 1501, '"$ipam"'}'; refused "mtu: 1501: is above the 1500 of up0" call add v one
		net v '{"type": "vlan", "master": "up0", "vlanId": 5, "mtu": 1400, '"$ipam"'}'; call add v one; ip link set up0 mtu 1300
		refused "mtu of eth0: expected 1400, found 1300" call check v one; call del v one; nothing vlan`,
	"vlan, its parent gone": `net v '{"type": "vlan", "master": "up0", "vlanId": 5, '"$ipam"'}'; call add v one; ip link del up0
		refused "link eth0: not found" call check v one; call del v one; call del v one; nothing vlan
		refused "master: link up0: not found on the host" call add v one; nothing vlan`,
	"vlan of no Ethernet": `net v '{"type": "vlan", "master": "lo", "vlanId": 5}'; refused "link lo: a loopback, which is no Ethernet" call add v one; nothing vlan`,
	"vlan, a port":        `ip link add br9 type bridge; ip link set up0 master br9; net v '{"type": "vlan", "master": "up0", "vlanId": 5}'; call add v one; call check v one; call del v one; nothing vlan`,

	"ipvlan, modes": `net a '{"type": "ipvlan", "master": "up0", '"$ipam"'}'; net b '{"type": "ipvlan", "master": "up0", "mode": "l3", '"$ipam"'}'
		call add a one; refused "its links are of mode l2, flags bridge, as attachment a/" call add b two; refused "of mode l2" call status b two
		call check a one; call add a two; call del a two; call del a one; call status b two; call add b two; call check b two; refused "of mode l3" call add a one; call del b two; nothing ipvlan`,
	"ipvlan, flags": `net a '{"type": "ipvlan", "master": "up0", "flags": "private"}'; net b '{"type": "ipvlan", "master": "up0"}'
		call add a one; refused "flags private" call add b two; call check a one; ip netns del one; call add b two; call check b two; ip netns add one; call del b two; call del a one; nothing ipvlan`,
	"ipvlan, the host's own": `ip link add own link up0 type ipvlan mode l3s; net a '{"type": "ipvlan", "master": "up0", '"$ipam"'}'; refused "of mode l3s, flags bridge, as link own of the host" call add a one
		net a '{"type": "ipvlan", "master": "up0", "mode": "l3s", '"$ipam"'}'; call add a one; call check a one; call del a one; nothing ipvlan`,
	"ipvlan on an ipvlan of another mode": `ip link add own link up0 type ipvlan mode l3; for master in own up0; do net a '{"type": "ipvlan", "master": "'$master'", '"$ipam"'}'; refused "of mode l3" call add a one; nothing ipvlan; done
		ip -d link show own | grep -q "mode l3"; net a '{"type": "ipvlan", "master": "own", "mode": "l3", '"$ipam"'}'; call add a one; call check a one; call del a one; nothing ipvlan`,
	"ipvlan on an ipvlan": `ip link add own link up0 type ipvlan mode l2; net a '{"type": "ipvlan", "master": "own", '"$ipam"'}'; call add a one; call check a one; call del a one; nothing ipvlan`,
	"ipvlan on a macvlan": `ip link add own link up0 type macvlan mode bridge; ip link set own up; net a '{"type": "ipvlan", "master": "own", '"$ipam"'}'; call add a one; call check a one; call del a one; nothing ipvlan`,
	"ipvlan, in the container": `ip -n one link add p0 type dummy; ip -n one link set p0 up; net a '{"type": "ipvlan", "master": "p0", "linkInContainer": true, '"$ipam"'}'
		call add a one; call check a one; call add a one -i net1; refused "master: link p0: not found on the container" call add a two; call del a one -i net1; call del a one; nothing ipvlan`,
	"ipvlan by the default route": `ip addr add 203.0.113.1/24 dev up0; ip route add default via 203.0.113.2; net a '{"type": "ipvlan", '"$ipam"'}'; call add a one; call check a one
		ip route del default; call check a one; refused "no default route leads anywhere" call add a two; call del a one; nothing ipvlan`,
	"ipvlan by IP alone, its gateway elsewhere": `for mode in l3 l3s; do
		echo '{"cniVersion": "1.0.0", "name": "a", "type": "ipvlan", "mode": "'$mode'", "prevResult": {"cniVersion": "1.0.0", "interfaces": [{"name": "up0"}], "ips": [{"address": "10.61.0.9/32", "gateway": "169.254.1.1"}, {"address": "fd61::9/128", "gateway": "fd99::1"}], "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}}' > /run/conf
		raw ADD ipvlan < /run/conf > /run/result; ip -n one route | grep -q "^default dev eth0"; ip -n one -6 route | grep -q "^default dev eth0"
		echo '{"cniVersion": "1.0.0", "name": "a", "type": "ipvlan", "mode": "'$mode'", "prevResult": '"$(cat /run/result)"'}' > /run/conf; raw CHECK ipvlan < /run/conf; raw DEL ipvlan < /run/conf; nothing ipvlan; done`,
	"ipvlan, chained": `ip addr add 203.0.113.1/24 dev up0
		prev='"prevResult": {"cniVersion": "1.0.0", "interfaces": [{"name": "up0"}], "ips": [{"address": "10.61.0.9/24", "gateway": "10.61.0.1", "interface": 0}, {"address": "fd61::9/64"}], "routes": [{"dst": "0.0.0.0/0"}]}'
		echo '{"cniVersion": "1.0.0", "name": "a", "type": "ipvlan", '"$prev"'}' > /run/conf; raw ADD ipvlan < /run/conf > /run/result
		grep -q 10.61.0.9/24 /run/result; ! grep -q up0 /run/result; ip -n one -6 addr show eth0 | grep -q fd61::9/64; ip -n one route | grep -q "default via 10.61.0.1 dev eth0"
		echo '{"cniVersion": "1.0.0", "name": "a", "type": "ipvlan", "prevResult": '"$(cat /run/result)"'}' | raw CHECK ipvlan
		echo '{"cniVersion": "1.0.0", "name": "a", "type": "ipvlan"}' | raw DEL ipvlan CNI_NETNS=/run/netns/one; nothing ipvlan
		for links in '' '{"name": "up0"}, {"name": "far0"}'; do
			echo '{"cniVersion": "1.0.0", "name": "a", "type": "ipvlan", "prevResult": {"cniVersion": "1.0.0", "interfaces": ['"$links"'], "ips": [{"address": "10.61.0.9/24"}]}}' > /run/conf
			refused "must name a link: the plugin before made" raw ADD ipvlan < /run/conf; raw DEL ipvlan < /run/conf; nothing ipvlan
		done`,
	"ipvlan, the address of another": `net a '{"type": "ipvlan", "master": "up0", "ipam": {"type": "static", "addresses": [{"address": "10.61.0.9/24"}]}}'
		call add a one; refused "10.61.0.9" call add a two; [ "$(ip -n two -o link | wc -l)" = 1 ]; call check a one; call del a one; nothing ipvlan`,

	"dummy, numbers": `for mtu in 68 1280 65535; do net d '{"type": "dummy", "mtu": '$mtu', "ipam": {"type": "static", "addresses": [{"address": "10.61.0.9/24"}]}}'
		call add d one; call check d one; ip -n one link show eth0 | grep -q "mtu $mtu "; call del d one; done; nothing dummy`,
	"dummy, drifts": `net d '{"type": "dummy", "mac": "02:00:00:00:00:07", "mtu": 1400, '"$ipam"'}'; call add d one
		drift() { eval "ip -n one $2"; refused "$1" call check d one; eval "ip -n one $3"; call check d one; }
		drift "mtu of eth0: expected 1400" "link set eth0 mtu 1300" "link set eth0 mtu 1400"; drift "mac of eth0" "link set eth0 address 02:00:00:00:00:08" "link set eth0 address 02:00:00:00:00:07"
		drift "10.61.0." "addr del 10.61.0.2/24 dev eth0" "addr add 10.61.0.2/24 dev eth0; ip -n one route add 192.0.2.0/24 via 10.61.0.1 dev eth0"
		ip -n one link set eth0 down; refused "link eth0: expected up, found down" call check d one; ip -n one link del eth0; ip -n one link add eth0 type veth peer name x
		refused "kind of eth0: expected dummy, found veth" call check d one; call del d one; ip -n one link show eth0; ip -n one link del eth0; call del d one; nothing dummy`,
	"dummy, its namespace gone": `net d '{"type": "dummy", '"$ipam"'}'; call add d one; ip netns del one; call del d one; call del d one; ip netns add one; nothing dummy`,
}

// TestKernelOddParents has each of them, made, checked and deleted; or refused with what is wrong, before anything is made.
func TestKernelOddParents(t *testing.T) { oddly(t, oddParents) }

func oddly(t *testing.T, scripts map[string]string) {
	for name, script := range scripts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) { shell(t, twoOnWire+script, os.Getenv(pluginsVar), reference.Newest.Dir) })
		})
	}
}

// oddTables are lists of which several plugins lead what a container sends: each finds its own, and after one DEL nothing is left of any.
var oddTables = map[string]string{
	"vrf twice": `list '{"type": "vrf", "vrfname": "blue"}, {"type": "vrf", "vrfname": "blue"}'; lives; gone
		list '{"type": "vrf", "vrfname": "blue"}, {"type": "vrf", "vrfname": "blue", "table": 1}'; lives; gone`,
	"two of one interface":      `list '{"type": "vrf", "vrfname": "blue"}, {"type": "vrf", "vrfname": "red"}'; refused "interface eth0: a port of blue" call add n one; call del n one; gone`,
	"a VRF with two tables":     `list '{"type": "vrf", "vrfname": "blue"}, {"type": "vrf", "vrfname": "blue", "table": 99}'; refused "table: 99: VRF blue has table 1" call add n one; call del n one; gone`,
	"a table by which all send": `for table in 254 255; do list '{"type": "vrf", "vrfname": "blue", "table": '$table'}'; refused "table: $table: must be" call add n one; call del n one; done; gone`,
	"one table in two containers": `list '{"type": "vrf", "vrfname": "blue", "table": 77}'; lives; before=$(ip -n one route show table 77); call add n two; call check n two; call del n two
		[ "$(ip -n one route show table 77)" = "$before" ]; call check n one; gone`,
	"one table of two VRFs": `list '{"type": "vrf", "vrfname": "blue", "table": 77}'; lives; net m "$first"', {"type": "vrf", "vrfname": "red", "table": 77}'; call add m one -i net1; call check m one -i net1
		call check n one; call del m one -i net1; call check n one; call add m one -i net1; call del n one; call check m one -i net1; call del m one -i net1; gone`,
	"strictly one table": `ip -n one link add tmp type vrf table 5; ip netns exec one sysctl -qw net.vrf.strict_mode=1; ip -n one link del tmp; list '{"type": "vrf", "vrfname": "blue", "table": 77}'; lives
		net m "$first"', {"type": "vrf", "vrfname": "red", "table": 77}'; refused "table: 77: another VRF has it" call add m one -i net1; call del m one -i net1; call check n one
		net m "$first"', {"type": "vrf", "vrfname": "red"}'; call add m one -i net1; call check m one -i net1; call del m one -i net1; gone`,
	"sbr after vrf":       `list '{"type": "vrf", "vrfname": "blue"}, {"type": "sbr"}'; lives; ip -n one rule | grep -q 'from 10.61.0.2 lookup 100'; ip -n one route show table 100 | grep -q '^default via 10.61.0.1 dev eth0'; apart vrf sbr; gone`,
	"vrf after sbr":       `list '{"type": "sbr"}, {"type": "vrf", "vrfname": "blue"}'; lives; ip -n one route show table 100 | grep -q '^default via 10.61.0.1 dev eth0'; apart sbr vrf; gone`,
	"sbr's table a VRF's": `list '{"type": "vrf", "vrfname": "blue", "table": 77}, {"type": "sbr", "table": 77}'; lives; ip -n one rule | grep -q 'from 10.61.0.2 lookup 77'; gone`,
	"next hops of two links": `ip -n one link add other type dummy; ip -n one link set other up; ip -n one addr add fd99::2/64 dev other nodad; list ''; call add n one
		ip -n one -6 route replace default metric 1024 nexthop via fd61::1 dev eth0 nexthop via fd61::7 dev eth0 nexthop via fd99::1 dev other; ip -n one -6 route add 2001:db8::/32 nexthop via fd61::8 dev eth0 nexthop via fd61::9 dev eth0
		hops() { ip -n one -6 route show $1 | grep -oE 'via [0-9a-f:]+ dev [a-z0-9]+' | sort; }; before=$(hops "table main")
		echo '{"cniVersion": "1.1.0", "name": "n", "type": "vrf", "vrfname": "blue", "prevResult": {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "sandbox": "/run/netns/one"}], "ips": []}}' > /run/conf
		raw ADD vrf < /run/conf; raw CHECK vrf < /run/conf; [ "$(hops "table main")" = "via fd99::1 dev other" ]; [ "$(hops "vrf blue" | wc -l)" = 4 ]
		raw DEL vrf < /run/conf; [ "$(hops "table main")" = "$before" ]; raw DEL vrf < /run/conf; call del n one; ip -n one link del other; gone`,
	"next hops with weights": twoWays + `ip -n one -6 route add 2001:db8:1::/48 nexthop via fd61::1 dev eth0 weight 3 nexthop via fd99::1 dev other weight 7; ip -n one -6 route add 2001:db8:2::/48 nexthop via fd61::8 dev eth0 weight 5 nexthop via fd61::9 dev eth0 weight 2
		ip -n one route add 198.18.0.0/16 nexthop via 10.61.0.1 dev eth0 weight 4 nexthop via 10.61.0.9 dev eth0 weight 2; ip -n one route add 198.19.0.0/16 nexthop via 10.61.0.1 dev eth0 nexthop via 10.99.0.1 dev other; before=$(all main)
		for round in 1 2; do raw ADD vrf < /run/vrf.conf; raw CHECK vrf < /run/vrf.conf; ip -n one -6 route show vrf blue 2001:db8:2::/48 | grep -q 'via fd61::8 dev eth0 weight 5'; ip -n one route show vrf blue 198.18.0.0/16 | grep -q 'dev eth0 weight 4'
			[ -z "$(ip -n one -6 route show table main dev eth0)" ]; [ -n "$(ip -n one route show table main 198.19.0.0/16)" ]; raw DEL vrf < /run/vrf.conf; [ "$(all main)" = "$before" ]; done
		for round in 1 2; do raw ADD sbr < /run/sbr.conf; raw CHECK sbr < /run/sbr.conf; ip -n one route show table 100 198.18.0.0/16 | grep -q 'dev eth0 weight 4'; raw DEL sbr < /run/sbr.conf; [ "$(all main)" = "$before" ]; done
		call del n one; ip -n one link del other; gone`,
	"addresses with all they have": twoWays + `ip -n one addr add fd61::77/64 dev eth0 nodad noprefixroute; ip -n one addr add fd62::1 peer fd62::2/128 dev eth0 nodad; ip -n one addr add fd63::1/64 dev eth0 nodad valid_lft 4000 preferred_lft 3000
		ip -n one addr add 10.62.0.1 peer 10.62.0.2/32 dev eth0 label eth0:7; had() { ip -n one addr show dev eth0 | grep inet | grep -v fe80 | sort; }; before=$(had)
		raw ADD vrf < /run/vrf.conf; [ "$(had)" = "$before" ]; ip -n one addr show dev eth0 | grep -A1 fd63 | grep -qE "valid_lft [34][0-9]{3}sec preferred_lft [23][0-9]{3}sec"; raw DEL vrf < /run/vrf.conf; [ "$(had)" = "$before" ]; call del n one; ip -n one link del other; gone`,
}

// twoWays is a container with two interfaces, of which the first is about to be led elsewhere.
const twoWays = `ip -n one link add other type dummy; ip -n one link set other up; ip -n one addr add fd99::2/64 dev other nodad; ip -n one addr add 10.99.0.2/24 dev other; list ''; call add n one
	all() { ip -n one route show table $1 | tr -d '\t' | sed 's/ *$//' | sort; ip -n one -6 route show table $1 | grep -v '^fe80' | tr -d '\t' | sed 's/ *$//' | sort; }
	prev='"prevResult": {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "sandbox": "/run/netns/one"}], "ips": [{"address": "10.61.0.2/24", "gateway": "10.61.0.1", "interface": 0}, {"address": "fd61::2/64", "gateway": "fd61::1", "interface": 0}]}'
	for p in vrf sbr; do echo '{"cniVersion": "1.0.0", "name": "n", "type": "'$p'", "vrfname": "blue", '"$prev"'}' > /run/$p.conf; done
`

// lives and gone frame what is done with a list.
const framed = `first='{"type": "bridge", "bridge": "br0", "isDefaultGateway": true, '"$ipam"'}'; list() { net n "$first${1:+, $1}"; }
lives() { call add n one; call check n one; }
# apart has the two plugins lead an interface that lives on: a DEL of both, the later first, puts back what was
apart() { call del n one; list ''; call add n one; before=$(ways)
	prev='"vrfname": "blue", "prevResult": {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "sandbox": "/run/netns/one"}], "ips": [{"address": "'$(ip -n one -4 -o addr show eth0 | grep -o '10[0-9./]*/24')'", "gateway": "10.61.0.1", "interface": 0}]}'
	for p in $1 $2; do echo '{"cniVersion": "1.0.0", "name": "n", "type": "'$p'", '"$prev"'}' > /run/$p.conf; raw ADD $p < /run/$p.conf; done; for p in $1 $2; do raw CHECK $p < /run/$p.conf; done
	for p in $2 $1; do raw DEL $p < /run/$p.conf; done; [ "$(ways)" = "$before" ]; }
ways() { ip -n one route show table main | sort; ip -n one -6 route show table main | grep -v '^fe80' | sort; ip -n one rule | grep -vE '^1000:'; }
gone() { call del n one; call del n one; [ "$(ip -n one -o link | wc -l)" = 1 ]; [ -z "$(ip -n one rule | grep -vE '^(0|1000|32766|32767):')" ]; [ -z "$(ip -n one -6 rule | grep -vE '^(0|1000|32766):')" ]; nothing vrf; }
`

// TestKernelOddTables has each of them.
func TestKernelOddTables(t *testing.T) {
	scripts := make(map[string]string)
	for name, script := range oddTables {
		scripts[name] = framed + script
	}
	oddly(t, scripts)
}

// TestKernelNothingOfBefore is TestNothingOfBeforeByOthers of links that not every kernel has. What is left in a packet filter, and found there, does not depend on the link, and by
// iptables it is mostly programs that start: one of them has that.
func TestKernelNothingOfBefore(t *testing.T) {
	nothingOfBeforeByOthers(t, "nftables", ipvlans, dummies)
	nothingOfBeforeByOthers(t, "iptables", vlans)
}

// The same of links that not every kernel has.
const (
	ipvlans = `"ipvlan", "master": "up0"`
	vlans   = `"vlan", "master": "up0", "vlanId": 5`
	dummies = `"dummy"`
)

// TestKernelUninstallRefuses is TestUninstallRefusesWithoutAnEnd of these.
func TestKernelUninstallRefuses(t *testing.T) { uninstallRefuses(t, ipvlans, vlans, dummies) }

// fitsThere are the numbers with which an ADD of what not every kernel has succeeds where it has it.
var fitsThere = map[string]string{
	"ipvlan mtu": "0 68 1500", "vlan mtu": "0 68 1500", "vlan vlanId": "1 2 4094", "dummy mtu": "0 68 65535", "vrf table": "0 1 253 4294967295",
	"bridge minID": "1 4094", "bridge maxID": "1 4094", "bridge id": "1 4094",
}

// TestKernelNumbers is TestNumbers of these.
func TestKernelNumbers(t *testing.T) {
	for _, n := range numbers {
		name := n.plugin + " " + n.key
		if n.fits = fitsThere[name]; n.fits == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, n.tried)
		})
	}
}
