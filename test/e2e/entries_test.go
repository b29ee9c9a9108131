package e2e

import (
	"os"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/reference"
)

// doubles are lists in which a chained plugin stands twice, each after the bridge: with the same keys, and with others.
var doubles = map[string]struct {
	one, two     string
	theirs, ours string // the verb at which the reference fails, and ours; empty: both do what the list says
}{
	"firewall, same":         {one: `"type": "firewall"`, two: `"type": "firewall"`},
	"firewall, backends":     {one: `"type": "firewall", "backend": "iptables"`, two: `"type": "firewall"`},
	"firewall, policies":     {one: `"type": "firewall"`, two: `"type": "firewall", "ingressPolicy": "isolated"`},
	"firewall, strict first": {one: `"type": "firewall", "ingressPolicy": "isolated"`, two: `"type": "firewall", "ingressPolicy": "open"`},
	"firewall, admins":       {one: `"type": "firewall"`, two: `"type": "firewall", "iptablesAdminChainName": "MINE"`},
	"portmap, same":          {one: mapped, two: mapped},
	"portmap, snat":          {one: mapped, two: mapped + `, "masqAll": true`},
	"portmap, no snat":       {one: mapped + `, "snat": false`, two: mapped},
	"portmap, one of them":   {one: `"type": "portmap"`, two: mapped},
	"portmap, own mappings":  {one: `"type": "portmap", "runtimeConfig": {"portMappings": [{"hostPort": 9090, "containerPort": 80, "protocol": "tcp"}]}`, two: mapped},
	"portmap, conditions":    {one: mapped + `, "backend": "iptables", "conditionsV4": ["-s", "10.9.0.0/16"]`, two: mapped + `, "backend": "iptables", "conditionsV4": ["-s", "10.8.0.0/16"]`},
	"portmap, sometimes":     {one: mapped + `, "backend": "iptables"`, two: mapped + `, "backend": "iptables", "conditionsV4": ["-s", "10.8.0.0/16"]`},
	"portmap, backends":      {one: mapped + `, "backend": "iptables"`, two: mapped + `, "backend": "nftables"`},
	"portmap, marks":         {one: mapped + `, "backend": "iptables", "markMasqBit": 9`, two: mapped + `, "backend": "iptables", "markMasqBit": 10`},
	"portmap, elsewhere":     {one: mapped, two: elsewhere},
	"portmap, first there":   {one: elsewhere + `, "snat": false`, two: mapped},
	"portmap, first in nat":  {one: mapped + `, "backend": "iptables"`, two: elsewhere + `, "backend": "iptables"`},
	"portmap, more of it":    {one: mapped + `, "backend": "iptables"`, two: `"type": "portmap", "backend": "iptables", "runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}, {"hostPort": 9090, "containerPort": 90, "protocol": "tcp"}]}`},
	"tuning, same":           {one: `"type": "tuning", "mtu": 1400`, two: `"type": "tuning", "mtu": 1400`},
	"tuning, other keys":     {one: `"type": "tuning", "mtu": 1400`, two: `"type": "tuning", "txQLen": 77, "sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1"}`},
	"tuning, other values":   {one: `"type": "tuning", "mtu": 1400`, two: `"type": "tuning", "mtu": 1300`, theirs: "check", ours: "check"},
	"bandwidth, ways":        {one: `"type": "bandwidth", "ingressRate": 8000000, "ingressBurst": 800000`, two: `"type": "bandwidth", "egressRate": 8000000, "egressBurst": 800000`},
	"bandwidth, same":        {one: shapes, two: shapes, theirs: "add", ours: "add"},
	"sbr, same":              {one: `"type": "sbr"`, two: `"type": "sbr"`, theirs: "add"},
	"sbr, then by name":      {one: `"type": "sbr"`, two: `"type": "sbr", "gateways": ["10.61.0.1", "fd61::1"]`, theirs: "add"},
	"sbr, another by name":   {one: `"type": "sbr"`, two: `"type": "sbr", "gateways": ["10.61.0.7"]`, theirs: "add"},
	"sbr, by name first":     {one: `"type": "sbr", "gateways": ["10.61.0.7"]`, two: `"type": "sbr"`, theirs: "add"},
	"sbr, then hints":        {one: `"type": "sbr"`, two: `"type": "sbr", "addSourceHints": true`, theirs: "add"},
	"sbr, hints first":       {one: `"type": "sbr", "addSourceHints": true`, two: `"type": "sbr"`, theirs: "check"},
	"sbr, hints, then named": {one: `"type": "sbr", "addSourceHints": true`, two: `"type": "sbr", "gateways": ["10.61.0.7"]`, theirs: "check"},
	"sbr, hints, a table":    {one: `"type": "sbr", "addSourceHints": true`, two: `"type": "sbr", "table": 200`, theirs: "check"},
	"sbr, then a table":      {one: `"type": "sbr"`, two: `"type": "sbr", "table": 200`, theirs: "check"},
	"sbr, two tables":        {one: `"type": "sbr", "table": 200`, two: `"type": "sbr", "table": 201`},
}

const (
	mapped    = `"type": "portmap", "capabilities": {"portMappings": true}`
	elsewhere = `"type": "portmap", "runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 81, "protocol": "tcp"}]}`
	shapes    = `"type": "bandwidth", "ingressRate": 8000000, "ingressBurst": 800000`
)

// TestTwoEntries: a list may have a chained plugin twice, as on the reference 1.10.0, which is run beside: what works there works here, in separate binaries, in the bundle and in
// one exec. Both are there, CHECK and repair see to both, a GC leaves those who live, and one DEL leaves nothing, whichever of the entries is in the list by then.
func TestTwoEntries(t *testing.T) {
	for name, d := range doubles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				shell(t, twoEntries, os.Getenv(pluginsVar), reference.Newest.Dir, "{"+d.one+"}", "{"+d.two+"}", d.theirs, d.ours)
			})
		})
	}
}

const twoEntries = `mkdir /run/net.d /run/one.d; ln -s "$1" /run/ours; mkdir /run/bin; cp "$1"/trestle /run/bin; reference=$2; one=$3; two=$4; theirs=$5; ours=$6
for f in bridge host-local portmap firewall tuning bandwidth sbr; do ln -s trestle /run/bin/$f; done
export CAP_ARGS='{"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}'
bridge='{"type": "bridge", "bridge": "br0", "isDefaultGateway": true, "ipam": {"type": "host-local", "subnet": "10.61.0.0/24"}}'
list() { echo '{"cniVersion": "1.1.0", "name": "n", "plugins": ['$1']}' > /run/net.d/n.conflist
	echo '{"cniVersion": "1.1.0", "name": "n", "plugins": [{"type": "trestle", "capabilities": {"portMappings": true}, "plugins": ['$1']}]}' > /run/one.d/n.conflist; }
call() { verb=$1; shift; NETCONFPATH=$dir CNI_PATH=$path cnitool $verb n /run/netns/$1; }
state() { nft list ruleset | grep -E '10\.61\.0\.[2-9]|8080|9090' || true; ip -n c link show eth0 | grep -oE '(mtu|qlen) [0-9]+' || true; tc qdisc | grep -E 'tbf|ingress' || true
	ip -n c rule | grep 10.61.0 || true; ip -n c route show table 100 2>/dev/null | grep default || true; }
ip netns add c; ip -n c link set lo up
# the reference
path=$reference dir=/run/net.d; list "$bridge, $one, $two"
works() { call add c || return 1; call check c || { call del c; return 2; }; call del c; }
came=0; works || came=$?
case "$theirs" in add) [ $came = 1 ]; call del c;; check) [ $came = 2 ];; *) [ $came = 0 ];; esac
nft flush ruleset; ip link delete br0; rm -rf /var/lib/cni
# ours
for form in separate bundle exec; do
	case $form in separate) path=/run/ours dir=/run/net.d;; bundle) path=/run/bin dir=/run/net.d;; exec) path=/run/bin dir=/run/one.d;; esac
	for left in both one two; do
		if [ $form$left = bundletwo ] || [ $form$left = exectwo ]; then continue; fi
		list "$bridge, $one, $two"
		if [ "$ours" = add ]; then ! call add c; call del c; continue; fi
		call add c
		if [ "$ours" = check ]; then ! call check c; call del c; continue; fi
		call check c
		before=$(state)
		/run/bin/trestle repair | grep "0 mended, 1 were whole"
		/run/bin/trestle gc --yes
		[ "$(state)" = "$before" ]; call check c
		nft flush ruleset
		/run/bin/trestle repair
		call check c
		case $left in one) list "$bridge, $one";; two) list "$bridge, $two";; esac
		call del c; call del c
		[ -z "$(state)" ]
		list "$bridge, $one, $two"; ip netns delete c; ip netns add c; ip -n c link set lo up
	done
done`
