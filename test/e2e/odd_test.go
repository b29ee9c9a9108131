package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/reference"
)

// odd are lists with values that somebody may write, and what the runtime says beside them. Without a verdict the reference 1.10.0 and ours take them, and the same comes of
// both: result, addresses, routes, what an interface is like, queues. A verdict has how the reference fails, and how ours does, or what comes of it there.
var odd = map[string]struct {
	list, args, caps string
	version          string // of the protocol; empty: 1.0.0
	theirs, ours     string // add, check: the verb that fails; empty: none
	better           string // what of ours is in place of the reference's
}{
	"static, an address mapped into IPv6": {list: fixedOn("bridge", `{"address": "::ffff:10.61.0.5/120", "gateway": "10.61.0.1"}`, "")},
	"static, both families asked for":     {list: fixedOn("bridge", "", ""), caps: `{"ips": ["fd00:61::8/64", "10.61.0.8/24"]}`},
	"static, args beside runtime":         {list: fixedOn("bridge", `{"address": "10.61.0.5/24", "gateway": "10.61.0.1"}`, "", `"args": {"cni": {"ips": ["10.61.0.9/24"]}}`), caps: `{"ips": ["10.61.0.8/24"]}`},
	"static, args alone":                  {list: fixedOn("bridge", `{"address": "10.61.0.5/24", "gateway": "10.61.0.1"}`, "", `"args": {"cni": {"ips": ["10.61.0.9/24"]}}`)},
	"static, IP beside configured":        {list: fixedOn("bridge", `{"address": "10.61.0.5/24", "gateway": "10.61.0.1"}`, ""), args: "IP=10.61.0.7/24,fd00:61::7/64;GATEWAY=fd00:61::1", theirs: "add"},
	"static, IP with blanks":              {list: fixedOn("bridge", "", ""), args: "IP= 10.61.0.7/24 , 10.61.0.8/24;GATEWAY= 10.61.0.1", theirs: "add"},
	"static, many routes": {list: fixedOn("bridge", `{"address": "10.61.0.5/24", "gateway": "10.61.0.1"}, {"address": "fd00:61::5/64"}`,
		`{"dst": "192.0.2.0/24"}, {"dst": "198.51.100.0/24", "gw": "10.61.0.9", "mtu": 1400, "advmss": 1300, "priority": 7}, {"dst": "203.0.113.0/24", "table": 100}, {"dst": "10.62.0.0/24", "scope": 253}, {"dst": "fd00:62::/64", "gw": "fd00:61::9", "priority": 9}`), theirs: "add"},
	"static, a key that it does not know": {list: fixedOn("bridge", "", ""), args: "IP=10.61.0.7/24;K8S_POD_NAME=x", theirs: "add", ours: "add"},
	"static, such, to be ignored":         {list: fixedOn("bridge", "", ""), args: "IgnoreUnknown=1;IP=10.61.0.7/24;K8S_POD_NAME=x"},
	"static, a gateway with a length":     {list: fixedOn("bridge", `{"address": "10.61.0.5/24", "gateway": "10.61.0.1/24"}`, ""), theirs: "add", ours: "add"},
	"static, too long a length":           {list: fixedOn("bridge", `{"address": "10.61.0.5/33"}`, ""), theirs: "add", ours: "add"},

	"ptp, /31":                  {list: fixedOn("ptp", `{"address": "10.61.0.2/31", "gateway": "10.61.0.3"}`, `{"dst": "0.0.0.0/0"}`)},
	"ptp, /127":                 {list: fixedOn("ptp", `{"address": "fd00:61::2/127", "gateway": "fd00:61::3"}`, `{"dst": "::/0"}`)},
	"ptp, /30 and a far route":  {list: fixedOn("ptp", `{"address": "10.61.0.2/30", "gateway": "10.61.0.1"}`, `{"dst": "192.0.2.0/24", "gw": "10.61.0.1"}`)},
	"ptp, two of one subnet":    {list: fixedOn("ptp", `{"address": "10.61.0.2/24", "gateway": "10.61.0.1"}, {"address": "10.61.0.3/24", "gateway": "10.61.0.1"}`, `{"dst": "0.0.0.0/0"}`), theirs: "add"},
	"ptp, IPv6 alone":           {list: fixedOn("ptp", `{"address": "fd00:61::2/64", "gateway": "fd00:61::1"}`, `{"dst": "::/0"}`)},
	"ptp, its own gateway":      {list: fixedOn("ptp", `{"address": "10.61.0.2/24", "gateway": "10.61.0.2"}`, ""), ours: "add"}, // on the reference neither end reaches the other
	"ptp, each the other's":     {list: fixedOn("ptp", `{"address": "10.61.0.2/24", "gateway": "10.61.0.3"}, {"address": "10.61.0.3/24", "gateway": "10.61.0.2"}`, ""), ours: "add"},
	"ptp, of the loopback":      {list: fixedOn("ptp", `{"address": "127.0.0.5/8", "gateway": "127.0.0.1"}`, ""), ours: "add"}, // whose packets no host takes in
	"ptp, the subnet's own":     {list: fixedOn("ptp", `{"address": "10.61.0.0/24", "gateway": "10.61.0.1"}`, `{"dst": "0.0.0.0/0"}`)},
	"ptp, fe80::1 beyond /128":  {list: fixedOn("ptp", `{"address": "fd00:61::2/128", "gateway": "fe80::1"}`, `{"dst": "::/0"}`)},
	"ptp, another family's way": {list: fixedOn("ptp", `{"address": "fd00:61::2/64", "gateway": "fd00:61::1"}`, `{"dst": "0.0.0.0/0"}`)},
	"bridge, its own gateway":   {list: fixedOn("bridge", `{"address": "10.61.0.2/24", "gateway": "10.61.0.2"}`, ""), ours: "add"},
	"ptp, metrics":              {list: fixedOn("ptp", `{"address": "10.61.0.2/24", "gateway": "10.61.0.1"}`, `{"dst": "0.0.0.0/0", "priority": 50, "mtu": 1400}, {"dst": "198.51.100.0/24", "table": 100}`), theirs: "check", better: "metric 50 mtu 1400"},
	"ptp, narrow":               {list: fixedOn("ptp", `{"address": "10.61.0.2/24", "gateway": "10.61.0.1"}`, "", `"mtu": 68`)},
	"ptp, wide":                 {list: fixedOn("ptp", `{"address": "10.61.0.2/24", "gateway": "10.61.0.1"}`, "", `"mtu": 65535`)},

	"ptp, a secret and odd times": {list: fixedOn("ptp", `{"address": "10.61.0.2/24", "gateway": "10.61.0.1"}`, "",
		`"sysctl": {"net.ipv6.conf.IFNAME.stable_secret": "fd00::1:2", "net.ipv4.neigh.IFNAME.base_reachable_time_ms": "30001", "net.ipv4.neigh.IFNAME.locktime": "99"}`), better: "addrgenmode stable_secret"},

	"tuning, an empty address in args": {list: tunedBy(`"mac": "0a:58:0a:01:00:01", "args": {"cni": {"mac": ""}}`)},
	"tuning, an empty one by runtime":  {list: tunedBy(`"mac": "0a:58:0a:01:00:01", "capabilities": {"mac": true}`), caps: `{"mac": ""}`},
	"tuning, with dashes":              {list: tunedBy(`"mac": "0A-58-0A-01-00-01"`), theirs: "check"},
	"tuning, with dots":                {list: tunedBy(`"mac": "0a58.0a01.0001"`), theirs: "check"},
	"tuning, eight bytes":              {list: tunedBy(`"mac": "0a:58:0a:01:00:01:00:01"`), theirs: "check", ours: "add"},
	"tuning, a group's":                {list: tunedBy(`"mac": "01:00:5e:00:00:01"`), theirs: "add", ours: "add"},
	"tuning, mtu taken back":           {list: tunedBy(`"mtu": 1400, "args": {"cni": {"mtu": 0}}`)},
	"tuning, promisc taken back":       {list: tunedBy(`"promisc": true, "args": {"cni": {"promisc": false}}`)},
	"tuning, null in args":             {list: tunedBy(`"promisc": true, "mtu": 1400, "allmulti": true, "txQLen": 5, "args": {"cni": {"promisc": null, "mtu": null, "allmulti": null, "txQLen": null, "mac": null, "sysctl": null}}`)},
	"tuning, a queue of none":          {list: tunedBy(`"txQLen": 0`)},
	"tuning, allmulti off":             {list: tunedBy(`"allmulti": false`)},
	"tuning, from the root":            {list: tunedBy(`"sysctl": {"/net/ipv4/conf/IFNAME/arp_filter": "1", "net//ipv4//conf/IFNAME/arp_ignore": "1"}`)},
	"tuning, out of net":               {list: tunedBy(`"sysctl": {"net/../kernel/hostname": "x"}`), theirs: "add", ours: "add"},
	"tuning, kernel":                   {list: tunedBy(`"sysctl": {"kernel.hostname": "x"}`), theirs: "add", ours: "add"},
	"tuning, a line's end":             {list: tunedBy(`"sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1\n"}`), theirs: "check"},
	"tuning, blanks":                   {list: tunedBy(`"sysctl": {"net.ipv4.conf.IFNAME.arp_filter": " 1 "}`), theirs: "check"},
	"tuning, a number":                 {list: tunedBy(`"sysctl": {"net.ipv4.conf.IFNAME.arp_filter": 1}`), theirs: "add", ours: "add"},
	"tuning, the name twice":           {list: tunedBy(`"sysctl": {"net.ipv6.neigh.IFNAME.mcast_solicit": "4", "net.ipv4.neigh.IFNAME.mcast_solicit": "5"}`)},
	"tuning, all of them":              {list: tunedBy(`"sysctl": {"net.ipv4.conf.all.arp_filter": "1", "net.ipv4.conf.default.arp_filter": "1", "net.core.somaxconn": "512", "net.ipv4.ip_unprivileged_port_start": "0"}`)},
	"tuning, nothing":                  {list: tunedBy(`"mtu": 0, "mac": "", "promisc": false, "sysctl": {}`)},

	"firewall, by an old protocol": {list: onABridge + `, {"type": "firewall"}`, version: "0.3.1", theirs: "add", ours: "check"}, // of which it has none,
	"all keys of the suite":        {list: tunedBy(`"mtu": 1400`) + `, {"type": "firewall"}, {"type": "portmap"}, {"type": "bandwidth"}`, args: "IP=10.61.0.9;GATEWAY=10.61.0.1;MAC=0a:58:0a:01:00:05", theirs: "add"},
	"a key of nobody's":            {list: tunedBy(`"mtu": 1400`), args: "WHAT=ever", theirs: "add", ours: "add"},

	"bandwidth, to it alone":            {list: boundedBy(`"ingressRate": 8000000, "ingressBurst": 800000`)},
	"bandwidth, from it alone":          {list: boundedBy(`"egressRate": 8000000, "egressBurst": 800000`)},
	"bandwidth, zeros hide the runtime": {list: boundedBy(`"ingressRate": 0, "capabilities": {"bandwidth": true}`), caps: `{"bandwidth": {"ingressRate": 8000000, "ingressBurst": 800000}}`},
	"bandwidth, half by the runtime":    {list: boundedBy(`"egressRate": 8000000, "egressBurst": 800000, "capabilities": {"bandwidth": true}`), caps: `{"bandwidth": {"ingressRate": 8000000, "ingressBurst": 800000}}`},
	"bandwidth, nothing by the runtime": {list: boundedBy(`"capabilities": {"bandwidth": true}`), caps: `{"bandwidth": {}}`},
	"bandwidth, zeros by the runtime":   {list: boundedBy(`"capabilities": {"bandwidth": true}`), caps: `{"bandwidth": {"ingressRate": 0, "ingressBurst": 0, "egressRate": 0, "egressBurst": 0}}`},
	"bandwidth, kubelet's":              {list: boundedBy(`"capabilities": {"bandwidth": true}`), caps: `{"bandwidth": {"IngressRate": 10000000, "IngressBurst": 2147483647, "EgressRate": 10000000, "EgressBurst": 2147483647}}`},
	"bandwidth, fast":                   {list: boundedBy(`"ingressRate": 400000000000, "ingressBurst": 4000000000, "egressRate": 100000000000, "egressBurst": 30000000000`)},
	"bandwidth, slow":                   {list: boundedBy(`"ingressRate": 8, "ingressBurst": 80000, "egressRate": 15, "egressBurst": 80000`)},
	"bandwidth, a fraction":             {list: boundedBy(`"ingressRate": 8000000.5, "ingressBurst": 800000`), theirs: "add", ours: "add"},
	"bandwidth, less than none":         {list: boundedBy(`"ingressRate": -8, "ingressBurst": 800000`), theirs: "add", ours: "add"},
	"bandwidth, words":                  {list: boundedBy(`"ingressRate": "8000000", "ingressBurst": 800000`), theirs: "add", ours: "add"},
}

// fixedOn is a list whose first plugin gets addresses of static.
func fixedOn(kind, addresses, routes string, more ...string) string {
	keys := strings.Join(append([]string{""}, more...), ", ")
	if kind == "bridge" {
		keys += `, "bridge": "br0", "isGateway": true`
	}
	return `{"type": "` + kind + `", "capabilities": {"ips": true}` + keys + `, "ipam": {"type": "static", "addresses": [` + addresses + `], "routes": [` + routes + `]}}`
}

func tunedBy(keys string) string   { return onABridge + `, {"type": "tuning", ` + keys + `}` }
func boundedBy(keys string) string { return onABridge + `, {"type": "bandwidth", ` + keys + `}` }

const onABridge = `{"type": "bridge", "bridge": "br0", "isDefaultGateway": true, "ipam": {"type": "host-local", "subnet": "10.61.0.0/24"}}`

// TestOdd runs each such list by both suites, and wants of ours what comes of it there, or what is said to be better.
func TestOdd(t *testing.T) {
	for name, o := range odd {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				must(t, os.MkdirAll("/run/net.d", 0o755))
				must(t, os.WriteFile("/run/net.d/n.conflist", fmt.Appendf(nil, `{"cniVersion": %q, "name": "n", "plugins": [%s]}`, cmp.Or(o.version, "1.0.0"), o.list), 0o644))
				env := []string{"CNI_ARGS=" + o.args, "CAP_ARGS=" + o.caps}
				theirs, failed := attachedBy(t, reference.Newest.Dir, env)
				if failed != o.theirs {
					t.Errorf("the reference fails at %q, want %q:\n%s", failed, o.theirs, theirs)
				}
				ours, failed := attachedBy(t, os.Getenv(pluginsVar), env)
				if failed != o.ours {
					t.Errorf("ours fails at %q, want %q:\n%s", failed, o.ours, ours)
				}
				if o.better != "" {
					if !strings.Contains(ours, o.better) || strings.Contains(theirs, o.better) {
						t.Errorf("want %q of ours alone:\n%s\n%s", o.better, ours, theirs)
					}
				} else if o.theirs != "add" && o.ours != "add" {
					if diff := gocmp.Diff(theirs, ours); diff != "" {
						t.Errorf("(-reference +ours):\n%s", diff)
					}
				}
			})
		})
	}
}

// TestOrders chains what is chained after bridge and ptp in orders in which each comes before and behind each other, by both suites: the same comes of it, and a published port is reached.
func TestOrders(t *testing.T) {
	metas := []string{`{"type": "portmap", "capabilities": {"portMappings": true}}`, `{"type": "firewall"}`, `{"type": "tuning", "mac": "0a:58:0a:01:00:01", "mtu": 1400}`, `{"type": "bandwidth", ` + shapedKeys + `}`}
	routed := `{"type": "ptp", "ipMasq": true, "ipam": {"type": "host-local", "subnet": "10.61.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]}}`
	for i := range metas {
		forth := slices.Concat([]string{onABridge}, metas[i:], metas[:i])
		back := slices.Clone(forth[1:])
		slices.Reverse(back)
		for _, list := range [][]string{forth, append([]string{routed}, back...)} {
			name := regexp.MustCompile(`"type": "(bridge|ptp|portmap|firewall|tuning|bandwidth)"`).ReplaceAllString(strings.Join(list, " "), "<$1>")
			t.Run(strings.Join(regexp.MustCompile(`<\w+>`).FindAllString(name, -1), ""), func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) { holdOrder(t, list) })
			})
		}
	}
}

func holdOrder(t *testing.T, list []string) {
	w := newStreet(t)
	must(t, os.MkdirAll("/run/net.d", 0o755))
	must(t, os.WriteFile("/run/net.d/n.conflist", []byte(`{"cniVersion": "1.0.0", "name": "n", "plugins": [`+strings.Join(list, ", ")+`]}`), 0o644))
	var states []string
	for _, dir := range []string{reference.Newest.Dir, os.Getenv(pluginsVar)} {
		state, failed := attachedBy(t, dir, []string{`CAP_ARGS={"portMappings": [` + eighty + `]}`}, func() {
			w.serve("c", "tcp", ":80")
			if !w.hears(outsider, "tcp", "192.0.2.1:8080", "c") {
				t.Errorf("%s: the port does not lead to the container", dir)
			}
			for _, server := range w.servers["c"] {
				server.Close()
			}
		})
		if states = append(states, state); failed != "" {
			t.Errorf("%s fails at %s:\n%s", dir, failed, state)
		}
	}
	if diff := gocmp.Diff(states[0], states[1]); diff != "" {
		t.Errorf("(-reference +ours):\n%s", diff)
	}
}

// attachedBy adds a container by the plugins of the directory, checks it and deletes it, and returns what there was, and the first verb that failed. Nothing may be left in the container.
func attachedBy(t *testing.T, dir string, env []string, during ...func()) (state, failed string) {
	t.Helper()
	must(t, os.RemoveAll("/var/lib/cni/networks"))
	nstest.Namespace(t, "c")
	defer nstest.Remove(t, netnsDir+"c")
	call := func(verb string) string {
		cmd := exec.Command(filepath.Join(os.Getenv(toolsVar), "cnitool"), verb, "n", netnsDir+"c")
		cmd.Env = append(append(os.Environ(), env...), "NETCONFPATH=/run/net.d", "CNI_PATH="+dir, "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
		out, err := cmd.CombinedOutput()
		if err != nil && failed == "" {
			failed = verb
		}
		return string(out)
	}
	result := call("add")
	if failed == "" {
		state = resultOf(t, result) + pairState(t, "-n", "c") + linkState(t)
		if said := call("check"); failed != "" {
			t.Logf("CHECK by %s: %s", dir, said)
		}
		for _, f := range during {
			f()
		}
	} else {
		state = result
	}
	if out := call("del"); failed == "del" {
		t.Errorf("DEL by %s: %s", dir, out)
	}
	if left, err := exec.Command("ip", "-n", "c", "link", "show", "dev", "eth0").Output(); err == nil && dir != reference.Newest.Dir {
		t.Errorf("left by %s: %s", dir, left)
	}
	return state, failed
}

// resultOf is what the result says of addresses, routes and names.
func resultOf(t *testing.T, text string) string {
	t.Helper()
	var result struct{ IPs, Routes []json.RawMessage }
	must(t, json.Unmarshal([]byte(text[strings.Index(text, "{"):]), &result))
	written, err := json.MarshalIndent(result, "", " ")
	must(t, err)
	return string(written) + "\n"
}

// linkState is what the container's interface is like, with its queues on the host, less names and what is drawn by lot.
func linkState(t *testing.T) (text string) {
	t.Helper()
	for _, command := range []string{"ip -n c -o -d link show dev eth0", "tc -d qdisc show", "ip -o link show type ifb",
		"ip netns exec c cat /proc/sys/net/ipv4/conf/eth0/arp_filter /proc/sys/net/ipv4/conf/eth0/arp_ignore /proc/sys/net/ipv4/neigh/eth0/mcast_solicit /proc/sys/net/core/somaxconn"} {
		words := strings.Fields(command)
		out, err := exec.Command("/usr/sbin/"+words[0], words[1:]...).Output()
		must(t, err)
		text += string(out)
	}
	text = regexp.MustCompile(`link/ether \S+`).ReplaceAllStringFunc(text, func(address string) string {
		if strings.HasPrefix(address, "link/ether 0a:58:0a:01") {
			return address
		}
		return "link/ether by lot"
	})
	for _, drawn := range []string{`(?m)^\d+: `, `veth[0-9a-f]+`, `@if\d+`, `link-netns\S* \S+`, `alias \S.*`, `numtxqueues.*`, `maxmtu \d+`, `refcnt \d+`, `\\`, ` qdisc fq_codel .*? drop_batch \d+`} {
		text = regexp.MustCompile(drawn).ReplaceAllString(text, "")
	}
	return strings.Join(strings.Fields(text), " ")
}
