package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// runIn is what a command prints in the container.
func runIn(t *testing.T, container string, words ...string) (text string) {
	t.Helper()
	must(t, nstest.In(netnsDir+container, func() error {
		out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
		text = string(out)
		return err
	}))
	return text
}

// TestSourcedInterchange lets each suite undo what the other has led, in both directions: no rule is left, and the result is the same.
func TestSourcedInterchange(t *testing.T) {
	for _, s := range suites() {
		for name, keys := range map[string]string{"plain": "", "table": `, "table": 200`, "gateways": `, "gateways": ["10.1.0.7"]`, "hints": `, "addSourceHints": true`} {
			if s.blind && name != "plain" { // 1.1.1 has no keys
				continue
			}
			t.Run(filepath.Base(s.dir)+"/"+name, func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) {
					nstest.Namespace(t, "c1")
					result := succeed(t, "ADD", "bridge", "c1", network(`"cniVersion": "1.0.0", "isDefaultGateway": true, `+hostLocal(subnet))).Out
					config := `{"cniVersion": "1.0.0", "name": "net", "type": "sbr"` + keys + `, "prevResult": ` + string(result) + `}`

					ours := succeed(t, "ADD", "sbr", "c1", config).Out
					led := runIn(t, "c1", "ip", "rule")
					s.call(t, "DEL", "sbr", "c1", config)
					if left := runIn(t, "c1", "ip", "rule"); strings.Contains(left, "10.1.0.2") {
						t.Errorf("after their DEL:\n%s", left)
					}
					succeed(t, "DEL", "sbr", "c1", config) // of which nothing is left but the tables
					runIn(t, "c1", "sh", "-c", "ip route flush table 100; ip route replace 10.1.0.0/24 dev eth0 proto kernel scope link src 10.1.0.2; ip route replace default via 10.1.0.1")

					theirs := s.call(t, "ADD", "sbr", "c1", config)
					if got := runIn(t, "c1", "ip", "rule"); got != strings.NewReplacer(" proto 116", "", " proto 117", "", " proto 118", "").Replace(led) {
						t.Errorf("rules of theirs:\n%s\nof ours:\n%s", got, led)
					}
					if !sameJSON(t, ours, []byte(strings.Replace(string(theirs), `"dns": {}`, `"cniVersion": "1.0.0"`, 1))) {
						t.Errorf("result of ours:\n%s\nof theirs:\n%s", ours, theirs)
					}
					succeed(t, "CHECK", "sbr", "c1", config)
					succeed(t, "DEL", "sbr", "c1", config)
					if left := runIn(t, "c1", "ip", "rule"); strings.Contains(left, "10.1.0.2") {
						t.Errorf("after our DEL:\n%s", left)
					}
				})
			})
		}
	}
}

// TestSourcedAddresses: each address leads to its own gateway, whatever others its interface has, and one without a gateway to its neighbours alone. CHECK is content, with the plugin
// before, too; and a DEL puts back what was.
func TestSourcedAddresses(t *testing.T) {
	const four, six = `{"address": "10.1.0.2/24", "gateway": "10.1.0.1"}`, `{"address": "fd00:1::2/64", "gateway": "fd00:1::1"}`
	for name, c := range map[string]struct {
		addresses, routes, keys string
		asked                   map[string]string // what ip route get says
	}{
		"two of a subnet": {four + `, {"address": "10.1.0.3/24", "gateway": "10.1.0.1"}`, "", "", map[string]string{
			"192.0.2.1 from 10.1.0.2": "via 10.1.0.1 dev eth0 table 100", "192.0.2.1 from 10.1.0.3": "via 10.1.0.1 dev eth0 table 101",
			"10.1.0.9 from 10.1.0.2": "dev eth0 table 100", "10.1.0.9 from 10.1.0.3": "dev eth0 table 101", "192.0.2.1": "via 10.9.0.1 dev other"}},
		"two of a subnet, gateways of their own": {four + `, {"address": "10.1.0.3/24", "gateway": "10.1.0.254"}`, "", "", map[string]string{
			"192.0.2.1 from 10.1.0.2": "via 10.1.0.1 dev eth0 table 100", "192.0.2.1 from 10.1.0.3": "via 10.1.0.254 dev eth0 table 101"}},
		"two of a subnet, a default route": {four + `, {"address": "10.1.0.3/24"}`, `{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}`, "", map[string]string{
			"192.0.2.1 from 10.1.0.2": "via 10.1.0.1 dev eth0 table 100", "192.0.2.1 from 10.1.0.3": "via 10.1.0.1 dev eth0 table 101"}},
		"two of an IPv6 subnet": {six + `, {"address": "fd00:1::3/64", "gateway": "fd00:1::1"}`, "", "", map[string]string{
			"2001:db8::1 from fd00:1::2": "via fd00:1::1 dev eth0 table 100", "2001:db8::1 from fd00:1::3": "via fd00:1::1 dev eth0 table 101"}},
		"one subnet in another": {four + `, {"address": "10.1.0.130/25", "gateway": "10.1.0.129"}`, "", "", map[string]string{
			"192.0.2.1 from 10.1.0.2": "via 10.1.0.1 dev eth0 table 100", "192.0.2.1 from 10.1.0.130": "via 10.1.0.129 dev eth0 table 101"}},
		"IPv6 without a gateway": {four + `, {"address": "fd00:1::2/64"}`, "", "", map[string]string{
			"192.0.2.1 from 10.1.0.2": "via 10.1.0.1 dev eth0 table 100", "2001:db8::1 from fd00:1::2": "via fd00:9::1 dev other", "fd00:1::9 from fd00:1::2": "dev eth0 table 101"}},
		"IPv4 without a gateway": {six + `, {"address": "10.1.0.2/24"}`, "", "", map[string]string{
			"2001:db8::1 from fd00:1::2": "via fd00:1::1 dev eth0 table 100", "192.0.2.1 from 10.1.0.2": "via 10.9.0.1 dev other", "10.1.0.9 from 10.1.0.2": "dev eth0 table 101"}},
		"IPv6 by a router's own address": {`{"address": "fd00:1::2/64"}`, `{"dst": "::/0", "gw": "fe80::1"}`, "", map[string]string{ // one next hop of two, as the other link has one
			"2001:db8::1 from fd00:1::2": "via fe80::1 dev eth0 table 100", "2001:db8::1": "via fd00:9::1 dev other"}},
		"several next hops": {six, `{"dst": "2001:db8:7::/48", "gw": "fd00:1::7"}, {"dst": "2001:db8:7::/48", "gw": "fd00:1::8"}`, "", map[string]string{
			"2001:db8:7::1 from fd00:1::2": "dev eth0 table 100", "2001:db8:7::1": "via fd00:9::1 dev other"}},
		"a gateway by name for one family": {`{"address": "10.1.0.2/24"}, ` + six, "", `, "gateways": ["10.1.0.7"]`, map[string]string{
			"192.0.2.1 from 10.1.0.2": "via 10.1.0.7 dev eth0 table 100", "2001:db8::1 from fd00:1::2": "via fd00:1::1 dev eth0 table 101"}},
		"two of a subnet, hints": {four + `, {"address": "10.1.0.3/24", "gateway": "10.1.0.1"}`, "", `, "addSourceHints": true`, map[string]string{
			"192.0.2.1 from 10.1.0.3": "via 10.1.0.1 dev eth0 table 101", "10.1.0.9": "dev eth0 src 10.1.0.2"}},
		"gateways by name in a second entry": {four + ", " + six, "", `, "gateways": ["10.1.0.7", "fd00:1::7"]`, map[string]string{
			"192.0.2.1 from 10.1.0.2": "via 10.1.0.7 dev eth0 table 100", "2001:db8::1 from fd00:1::2": "via fd00:1::7 dev eth0 table 101"}},
		"an address alone": {`{"address": "10.1.0.2/32"}`, `{"dst": "10.1.0.1/32", "scope": 253}, {"dst": "0.0.0.0/0", "gw": "10.1.0.1"}`, "", map[string]string{
			"192.0.2.1 from 10.1.0.2": "via 10.1.0.1 dev eth0 table 100", "10.1.0.1 from 10.1.0.2": "dev eth0 table 100", "10.1.0.1": "via 10.9.0.1 dev other"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				nstest.Namespace(t, "c1")
				runIn(t, "c1", "sh", "-ec", "ip link add other type veth peer name end; ip link set other up; ip link set end up; ip addr add 10.9.0.2/24 dev other; ip route add default via 10.9.0.1 metric 9; ip addr add fd00:9::2/64 dev other nodad; ip -6 route add default via fd00:9::1")
				first := network(`"cniVersion": "1.0.0", "ipam": {"type": "static", "addresses": [` + c.addresses + `], "routes": [` + c.routes + `]}`)
				result := succeed(t, "ADD", "bridge", "c1", first).Out
				before := snapshot.Take(t, netnsDir+"c1")
				config := with(`{"cniVersion": "1.0.0", "name": "net", "type": "sbr"`+c.keys+`}`, result)
				if strings.Contains(name, "second entry") {
					succeed(t, "ADD", "sbr", "c1", with(`{"cniVersion": "1.0.0", "name": "net", "type": "sbr"}`, result))
				}
				succeed(t, "ADD", "sbr", "c1", config)
				succeed(t, "CHECK", "sbr", "c1", config)
				succeed(t, "CHECK", "bridge", "c1", with(first, result))
				for words, want := range c.asked {
					if got := runIn(t, "c1", "sh", "-c", "ip route get "+words+" 2>&1 || true"); !strings.Contains(got, want) {
						t.Errorf("%s: %s, want %s\n%s", words, got, want, runIn(t, "c1", "sh", "-c", "ip rule; ip -6 rule; ip route show table all; ip -6 route show table all"))
					}
				}
				succeed(t, "DEL", "sbr", "c1", config)
				if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1")); diff != "" {
					t.Errorf("after a DEL:\n%s", diff)
				}
			})
		})
	}
}

// TestSourcedMakesNoFile: a namespace that is not there is not made into a file, as by the reference, whose next calls then fail for ever.
func TestSourcedMakesNoFile(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		config := `{"cniVersion": "1.0.0", "name": "net", "type": "sbr"}`
		succeed(t, "DEL", "sbr", "gone", config)
		succeed(t, "DEL", "sbr", "gone", config, "CNI_NETNS=")
		if _, err := os.Stat(netnsDir + "gone"); !os.IsNotExist(err) {
			t.Errorf("%s: %v, want none", netnsDir+"gone", err)
		}
	})
}
