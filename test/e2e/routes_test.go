package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// runs carries commands of iproute2 out, a line each, in the container.
func runs(t *testing.T, container, lines string) {
	t.Helper()
	must(t, in(container, func() error {
		for line := range strings.Lines(lines) {
			args := strings.Fields(line)
			if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
				t.Errorf("ip %s: %v: %s", line, err, out)
			}
		}
		return nil
	}))
}

// drifts fails the test unless CHECK is silent where text is empty, or else a drift that has it.
func drifts(t *testing.T, plugin, container, config, text string) {
	t.Helper()
	got, err := invoke("CHECK", plugin, container, config)
	must(t, err)
	if silent := text == ""; silent != (got.Status == 0) || !silent && (got.Code != 102 || !strings.Contains(got.Msg, text)) {
		t.Errorf("CHECK: code %d: %s; want %q", got.Code, got.Msg, text)
	}
}

// previously is a configuration with the result of an earlier call, changed.
func previously(config string, result []byte, changes ...string) string {
	prev := strings.NewReplacer(changes...).Replace(string(result))
	return strings.TrimSuffix(strings.TrimSpace(config), "}") + `, "prevResult": ` + prev + "}"
}

// A gateway of zeros is none: the route is on the link, and CHECK says when it is gone.
func TestZeroGateway(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		nstest.Namespace(t, "c1")
		config := network(`"ipam": {"type": "host-local", "ranges": [[` + subnet + `], [{"subnet": "fd00:1::/64"}]],
			"routes": [{"dst": "0.0.0.0/0", "gw": "0.0.0.0"}, {"dst": "10.7.0.0/16", "gw": "::ffff:0.0.0.0"}, {"dst": "fd00:7::/64", "gw": "::"}]}`)
		prev := previously(config, succeed(t, "ADD", "bridge", "c1", config).Out)
		drifts(t, "bridge", "c1", prev, "")
		for _, dst := range []string{"default", "10.7.0.0/16", "fd00:7::/64"} {
			runs(t, "c1", "route del "+dst+" dev eth0")
			drifts(t, "bridge", "c1", prev, strings.Replace(dst, "default", "0.0.0.0/0", 1))
			runs(t, "c1", "route add "+dst+" dev eth0")
			drifts(t, "bridge", "c1", prev, "")
		}
		succeed(t, "DEL", "bridge", "c1", prev)
	})
}

// Another plugin of the list made an interface and a route by it, named in the result or not. CHECK finds the route where it is, and says when it is gone;
// what is the bridge's is wanted on the bridge's interface all the same.
func TestRoutesOfAnotherPlugin(t *testing.T) {
	t.Parallel()
	const listed = `"interfaces": [{"name": "net1", "sandbox": "/run/netns/c1"},`
	const route = `"routes": [{"dst": "10.9.0.0/16", "gw": "10.2.0.1"},`
	for _, changes := range [][]string{
		{`"routes": [`, route},
		{`"routes": [`, route, `"interfaces": [`, listed, `"interface": 2`, `"interface": 3`, `"ips": [`, `"ips": [{"address": "10.2.0.2/24", "interface": 0},`},
		{`"routes": [`, `"routes": [{"dst": "10.9.0.0/16"},`, `"interfaces": [`, listed, `"interface": 2`, `"interface": 3`},
	} {
		nstest.Run(t, func(t *testing.T) {
			nstest.Namespace(t, "c1")
			config := network(`"isDefaultGateway": true, "ipam": {"type": "host-local", "ranges": [[` + subnet + `]], "routes": [{"dst": "10.8.0.0/16", "gw": "10.1.0.1"}]}`)
			prev := previously(config, withoutSpace(succeed(t, "ADD", "bridge", "c1", config).Out), changes...)
			runs(t, "c1", "link add net1 type veth peer name net2\nlink set net2 up\nlink set net1 up\naddr add 10.2.0.2/24 dev net1\nroute add 10.9.0.0/16 via 10.2.0.1")
			drifts(t, "bridge", "c1", prev, "")
			runs(t, "c1", "route del 10.9.0.0/16")
			drifts(t, "bridge", "c1", prev, "10.9.0.0/16")
			runs(t, "c1", "route add 10.9.0.0/16 via 10.2.0.1 table 100") // as for source based routing
			drifts(t, "bridge", "c1", prev, "")
			runs(t, "c1", "route del 10.8.0.0/16\nroute add 10.8.0.0/16 dev net1")
			drifts(t, "bridge", "c1", prev, "10.8.0.0/16")
			succeed(t, "DEL", "bridge", "c1", prev)
		})
	}
}

// withoutSpace is a JSON text without the line breaks after brackets, and without indentation.
func withoutSpace(text []byte) []byte {
	return []byte(strings.NewReplacer("[\n", "[", "  ", "").Replace(string(text)))
}
