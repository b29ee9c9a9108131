package e2e

import (
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
	"github.com/trestle-cni/trestle/test/space"
)

// numeric is a key that has a whole number, in a network in which all else is right.
type numeric struct {
	key, plugin string
	keys        string // of the network, with a verb for the number
	low, high   int64
	fits        string // numbers, between blanks, with which an ADD succeeds here; others may be more than this kernel takes
}

const (
	mostOf32  = 1<<32 - 1
	mostRoute = `"ipam": {"type": "static", "addresses": [{"address": "10.3.0.2/24"}], "routes": [{"dst": "10.9.0.0/16", "gw": "10.3.0.1", `
	someRate  = `"ingressRate": 8000000, "ingressBurst": 800000`
)

// numbers are all of them, but for those of results.
var numbers = []numeric{
	{"mtu", "bridge", `"bridge": "br9", "mtu": %s`, 0, 65535, "0 68 65535"},
	{"vlan", "bridge", `"bridge": "br9", "vlan": %s`, 0, 4094, "0"},
	{"minID", "bridge", `"bridge": "br9", "vlanTrunk": [{"minID": %s, "maxID": 4094}]`, 1, 4094, ""},
	{"maxID", "bridge", `"bridge": "br9", "vlanTrunk": [{"minID": 1, "maxID": %s}]`, 1, 4094, ""},
	{"id", "bridge", `"bridge": "br9", "vlanTrunk": [{"id": %s}]`, 1, 4094, ""},
	{"mtu", "bridge", `"bridge": "br9", ` + mostRoute + `"mtu": %s}]}`, 0, 65535, "0 1500"},
	{"advmss", "bridge", `"bridge": "br9", ` + mostRoute + `"advmss": %s}]}`, 0, 65535, "0 1460"},
	{"priority", "bridge", `"bridge": "br9", ` + mostRoute + `"priority": %s}]}`, 0, mostOf32, "0 4294967295"},
	{"table", "bridge", `"bridge": "br9", ` + mostRoute + `"table": %s}]}`, 0, mostOf32, "254 4294967295"},
	{"scope", "bridge", `"bridge": "br9", ` + mostRoute + `"scope": %s}]}`, 0, 254, "0"},
	{"cooldown", "bridge", `"bridge": "br9", "ipam": {"type": "host-local", "subnet": "10.3.0.0/24", "cooldown": %s}`, 0, 86400, "0 86400"},
	{"mtu", "ptp", `"mtu": %s`, 0, 65535, "0 68 65535"},
	{"rpFilter", "ptp", `"rpFilter": %s`, 0, 2, "0 1 2"},
	{"mtu", "macvlan", `"master": "wire", "mtu": %s`, 0, 65535, "0 68 1500"},
	{"bcqueuelen", "macvlan", `"master": "wire", "bcqueuelen": %s`, 0, mostOf32, "0 4294967295"},
	{"mtu", "ipvlan", `"master": "wire", "mtu": %s`, 0, 65535, ""},
	{"mtu", "vlan", `"master": "wire", "vlanId": 5, "mtu": %s`, 0, 65535, ""},
	{"vlanId", "vlan", `"master": "wire", "vlanId": %s`, 1, 4094, ""},
	{"mtu", "dummy", `"mtu": %s`, 0, 65535, ""},
	{"mtu", "tap", `"mtu": %s`, 0, 65535, "0 68 65521"},
	{"owner", "tap", `"owner": %s`, 0, mostOf32 - 1, "0"},
	{"group", "tap", `"group": %s`, 0, mostOf32 - 1, "0"},
	{"priority", "bridge", `"bridge": "br9", "ipam": {"type": "dhcp", "priority": %s}`, 0, 1<<31 - 1, ""},
	{"option", "bridge", `"bridge": "br9", "ipam": {"type": "dhcp", "request": [{"option": %s}]}`, 0, 255, ""},
	{"mtu", "tuning", `"mtu": %s`, 0, 1<<31 - 1, "0 1400"},
	{"txQLen", "tuning", `"txQLen": %s`, 0, 1<<31 - 1, "0 2147483647"},
	{"latency", "bandwidth", someRate + `, "latency": %s`, 0, 10000, "0 1 10000"},
	{"maxBurst", "bandwidth", someRate + `, "maxBurst": %s`, 0, 8*mostOf32 + 7, "0 34359738367"},
	{"ingressRate", "bandwidth", `"ingressRate": %s, "ingressBurst": 800000`, 0, 1<<63 - 1, "8000 800000000000"},
	{"egressBurst", "bandwidth", `"egressRate": 8000000, "egressBurst": %s`, 0, 8*mostOf32 + 7, "800000"},
	{"table", "sbr", `"table": %s`, 1, mostOf32, "1 4294967295"},
	{"table", "vrf", `"vrfname": "red", "table": %s`, 0, mostOf32, ""},
	{"markMasqBit", "portmap", `"backend": "iptables", "markMasqBit": %s`, 0, 31, "0 31"},
	{"hostPort", "portmap", `"runtimeConfig": {"portMappings": [{"hostPort": %s, "containerPort": 80, "protocol": "tcp"}]}`, 1, 65535, "1 65535"},
	{"containerPort", "portmap", `"runtimeConfig": {"portMappings": [{"hostPort": 80, "containerPort": %s, "protocol": "tcp"}]}`, 1, 65535, "1 65535"},
}

// TestNumbers gives each key that has a number its edges, and what is no whole number. Each is done, as CHECK says, and taken back; or refused with the key's
// name and what it may be, before anything is made.
func TestNumbers(t *testing.T) {
	t.Run("all are here", allNumbers)
	for i, n := range numbers {
		if n.plugin == "tap" && !space.Tun() { // who may not is told so: tap.txtar
			continue
		}
		t.Run(fmt.Sprint(n.plugin, " ", n.key, " ", i), func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, n.tried)
		})
	}
}

func (n numeric) tried(t *testing.T) {
	nstest.Namespace(t, "c1")
	shell(t, "ip link add wire type veth peer name far; ip link set wire up; ip link set far up; sysctl -qw net.ipv4.ip_forward=1")
	var before string
	if chained := n.plugin == "tuning" || n.plugin == "bandwidth" || n.plugin == "sbr" || n.plugin == "vrf" || n.plugin == "portmap"; chained {
		first := n.network("bridge", `"bridge": "br0"`)
		before = string(succeed(t, "ADD", "bridge", "c1", first).Out)
	}
	state := snapshot.Take(t, netnsDir+"c1")
	values := []string{"-1", fmt.Sprint(n.low), fmt.Sprint(n.low - 1), fmt.Sprint(n.high), new(big.Int).Add(big.NewInt(n.high), big.NewInt(1)).String(), "4294967295", "4294967296",
		"9223372036854775808", "-9223372036854775809", "1e400", "1.5", `"1"`, `"root"`, "true", "[]", "{}"}
	for _, value := range append(values, strings.Fields(n.fits)...) {
		config := n.network(n.plugin, fmt.Sprintf(n.keys, value))
		if before != "" {
			config = after(config, []byte(before))
		}
		n.try(t, config, value)
	}
	if n.plugin == "bridge" || n.plugin == "portmap" || n.plugin == "ptp" { // their ground stays until a GC
		succeed(t, "GC", n.plugin, "c1", n.network(n.plugin, `"bridge": "br9"`))
	}
	if left := snapshot.Diff(state, snapshot.Take(t, netnsDir+"c1")); left != "" {
		t.Errorf("left:\n%s", left)
	}
}

func (n numeric) network(plugin, keys string) string {
	if !strings.Contains(keys, `"ipam"`) && plugin != "tuning" && plugin != "bandwidth" && plugin != "sbr" && plugin != "vrf" && plugin != "portmap" {
		keys += `, "ipam": {"type": "static", "addresses": [{"address": "10.3.0.2/24", "gateway": "10.3.0.1"}]}`
	}
	return fmt.Sprintf(`{"cniVersion": "1.1.0", "name": "net", "type": %q, %s}`, plugin, keys)
}

func (n numeric) try(t *testing.T, config, value string) {
	t.Helper()
	got, err := invoke("ADD", n.plugin, "c1", config)
	must(t, err)
	quoted := n.plugin == "bridge" && n.key == "option" && value == `"1"` // the number of an option may stand in quotes
	switch whole, is := new(big.Int).SetString(value, 10); {
	case got.Status == 0:
		if !quoted && (!is || whole.Cmp(big.NewInt(n.low)) < 0 || whole.Cmp(big.NewInt(n.high)) > 0) {
			t.Errorf("%s: accepted", value)
		}
		alone, _, _ := strings.Cut(strings.TrimSuffix(config, "}"), `, "prevResult"`)
		if checked, err := invoke("CHECK", n.plugin, "c1", after(alone+"}", got.Out)); err != nil || checked.Status != 0 {
			t.Errorf("%s: CHECK: %v: %s", value, err, checked.Msg)
		}
	case strings.Contains(" "+n.fits+" ", " "+value+" "):
		t.Errorf("%s: refused: code %d: %s", value, got.Code, got.Msg)
	case is && whole.Cmp(big.NewInt(n.low)) >= 0 && whole.Cmp(big.NewInt(n.high)) <= 0, quoted: // it is not the number that is wrong
		if got.Code == fault.Config && !strings.Contains(got.Msg, n.key) || got.Code != fault.Config && got.Details == "" {
			t.Errorf("%s: code %d: %s (%s)", value, got.Code, got.Msg, got.Details)
		}
	case got.Code != fault.Config || !strings.Contains(got.Msg, n.key+": ") || !strings.Contains(got.Msg, "must be"):
		t.Errorf("%s: code %d: %s, want code 7, the key and the rule", value, got.Code, got.Msg)
	default:
		return
	}
	succeed(t, "DEL", n.plugin, "c1", config)
}

// allNumbers wants each key that the code reads as a number in the table.
func allNumbers(t *testing.T) {
	known := make(map[string]bool)
	for _, n := range numbers {
		known[n.key] = true
	}
	known["ingressBurst"], known["egressRate"] = true, true // read by one function with their pairs
	reads := regexp.MustCompile(`(?:\.(?:Int|Large|Number)\(|number\(\w+, )"(\w+)"`)
	count := 0
	for _, pattern := range []string{"../../plugins/*/*.go", "../../pkg/attach/endpoint/*.go", "../../pkg/plugin/*.go", "../../pkg/dhcp/lease/*.go"} {
		files, err := filepath.Glob(pattern)
		must(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			must(t, err)
			for _, read := range reads.FindAllSubmatch(text, -1) {
				if count++; !known[string(read[1])] {
					t.Errorf("%s reads a number %s, which the table has not", file, read[1])
				}
			}
		}
	}
	if count < 20 {
		t.Errorf("only %d numbers are read", count)
	}
}
