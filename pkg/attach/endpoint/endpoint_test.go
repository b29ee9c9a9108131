package endpoint

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// read prints what becomes of a result's gateways and routes.
func read(t *testing.T, result string, o Options) (string, error) {
	t.Helper()
	r, err := plugin.ParseResult([]byte(result), "1.1.0")
	if err != nil {
		t.Fatal(err)
	}
	o.IPAM = "static"
	e, err := Read(attach.Call{Owner: owner.Of("net", "c1", "eth0"), IfName: "eth0", Netns: "/c1", Result: r}, o)
	var out []string
	for _, a := range e.Addresses {
		if a.Gateway.IsValid() {
			out = append(out, "gateway "+a.Gateway.String())
		}
	}
	for _, route := range e.Routes {
		text := route.String()
		if route.Elsewhere {
			text += " elsewhere"
		}
		out = append(out, text)
	}
	return strings.Join(out, "; "), err
}

// A gateway of zeros is none, in whatever form; one of the other family is refused of an IPAM plugin, and none in what lives.
func TestGateways(t *testing.T) {
	const four, six = `"address": "10.1.0.2/24"`, `"address": "fd00::2/64"`
	for _, c := range []struct{ address, gateway, want string }{
		{four, `"10.1.0.1"`, "gateway 10.1.0.1"},
		{four, `"::ffff:10.1.0.1"`, "gateway 10.1.0.1"},
		{four, `"0.0.0.0"`, ""},
		{four, `"::ffff:0.0.0.0"`, ""},
		{four, `""`, ""},
		{four, `null`, ""},
		{four, `"::"`, "refused"},
		{four, `"fd00::1"`, "refused"},
		{six, `"fd00::1"`, "gateway fd00::1"},
		{six, `"::"`, ""},
		{six, `"0.0.0.0"`, "refused"},
		{six, `"10.1.0.1"`, "refused"},
		{six, `"::ffff:10.1.0.1"`, "refused"},
	} {
		ip := fmt.Sprintf(`"ips": [{%s, "gateway": %s`, c.address, c.gateway)
		got, err := read(t, "{"+ip+"}]}", Options{})
		if refused := c.want == "refused"; refused != (fault.Code(err) == fault.Config) || !refused && (err != nil || got != c.want) {
			t.Errorf("%s by %s: %q, %v; want %q", c.address, c.gateway, got, err, c.want)
		}
		if _, err := read(t, `{"interfaces": [{"name": "eth0", "sandbox": "/c1"}], `+ip+`, "interface": 0}]}`, Options{}); err != nil {
			t.Errorf("%s by %s, of what lives: %v", c.address, c.gateway, err)
		}
	}
}

// What the kernel takes for an address of a link, and has nothing of, is none: CHECK would miss it.
func TestNoAddresses(t *testing.T) {
	for _, address := range []string{"0.0.0.0/0", "0.0.0.0/24", "::/0", "::/64", "224.0.0.5/24", "ff02::5/64"} {
		if _, err := read(t, `{"ips": [{"address": "`+address+`"}]}`, Options{}); fault.Code(err) != fault.Delegate {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// What each route of an IPAM plugin's becomes.
func TestRoutes(t *testing.T) {
	for route, want := range map[string]string{
		`{"dst": "0.0.0.0/0"}`:                                       "0.0.0.0/0 via 10.1.0.1",
		`{"dst": "0.0.0.0/0", "gw": "0.0.0.0"}`:                      "0.0.0.0/0",
		`{"dst": "::/0", "gw": "::"}`:                                "::/0",
		`{"dst": "10.9.0.0/16", "gw": "::ffff:10.1.0.7"}`:            "10.9.0.0/16 via 10.1.0.7",
		`{"dst": "10.9.0.0/16", "gw": "192.0.2.1"}`:                  "10.9.0.0/16 via 192.0.2.1 elsewhere",
		`{"dst": "10.9.0.0/16", "scope": 253}`:                       "10.9.0.0/16 scope 253",
		`{"dst": "10.9.0.0/16", "priority": 4294967295, "table": 5}`: "10.9.0.0/16 via 10.1.0.1 metric 4294967295 table 5",
		`{"dst": "0.0.0.0/0", "gw": "::"}`:                           `refused: result of static: routes[0].gw: "::": must be of the family of 0.0.0.0/0`,
		`{"dst": "::/0", "gw": "0.0.0.0"}`:                           `refused: result of static: routes[0].gw: "0.0.0.0": must be of the family of ::/0`,
		`{"dst": "10.9.0.0/16", "priority": -1}`:                     "refused: result of static: routes[0].priority: -1: must be a whole number from 0 to 4294967295",
		`{"dst": "10.9.0.0/16", "scope": 300}`:                       "refused: result of static: routes[0].scope: 300: must be a whole number from 0 to 254",
		`{"dst": "10.9.0.0/16", "table": 4294967296}`:                "refused: result of static: routes[0].table: 4294967296: must be a whole number from 0 to 4294967295",
		`{"dst": "10.9.0.0/16", "mtu": -1}`:                          "refused: result of static: routes[0].mtu: -1: must be a whole number from 0 to 65535",
		`{"dst": "10.9.0.0/16", "advmss": 70000}`:                    "refused: result of static: routes[0].advmss: 70000: must be a whole number from 0 to 65535",
		`{"gw": "10.1.0.1"}`:                                         `refused: result of static: routes[0].dst: "\u003cnil\u003e": must be an address and prefix length, as in 10.1.0.0/16`,
	} {
		got, err := read(t, `{"ips": [{"address": "10.1.0.2/24", "gateway": "10.1.0.1"}], "routes": [`+route+`]}`, Options{})
		if got = strings.TrimPrefix(got, "gateway 10.1.0.1; "); err != nil {
			got = fmt.Sprint("refused: ", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", route, diff)
		}
	}
}

// Of an earlier result, whose list may have had other plugins with interfaces and routes of their own.
func TestRoutesOfOthers(t *testing.T) {
	const alone = `{"interfaces": [{"name": "br0"}, {"name": "eth0", "sandbox": "/c1"}], "ips": [{"address": "10.1.0.2/24", "gateway": "10.1.0.1", "interface": 1}], `
	const company = `{"interfaces": [{"name": "eth0", "sandbox": "/c1"}, {"name": "tun0", "sandbox": "/c1"}],
		"ips": [{"address": "10.1.0.2/24", "gateway": "10.1.0.1", "interface": 0}, {"address": "10.2.0.2/24", "interface": 1}], `
	const same = `{"interfaces": [{"name": "eth0", "sandbox": "/c1"}, {"name": "net1", "sandbox": "/c1"}],
		"ips": [{"address": "10.1.0.2/24", "interface": 0}, {"address": "10.1.0.3/24", "interface": 1}], `
	const bare = `{"interfaces": [{"name": "eth0", "sandbox": "/c1"}, {"name": "tun0", "sandbox": "/c1"}], "ips": [{"address": "10.1.0.2/24", "interface": 0}], `
	for _, c := range []struct{ prev, route, want string }{
		{alone, `{"dst": "0.0.0.0/0"}`, "0.0.0.0/0 via 10.1.0.1"},
		{alone, `{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}`, "0.0.0.0/0 via 10.1.0.1"},
		{alone, `{"dst": "10.9.0.0/16", "gw": "10.2.0.1"}`, "10.9.0.0/16 via 10.2.0.1 elsewhere"},
		{alone, `{"dst": "10.9.0.0/16", "gw": "fd00::1"}`, "10.9.0.0/16 via fd00::1 elsewhere"},
		{alone, `{"dst": "10.9.0.0/16", "gw": "0.0.0.0"}`, "10.9.0.0/16"},
		{company, `{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}`, "0.0.0.0/0 via 10.1.0.1"},
		{company, `{"dst": "10.9.0.0/16", "gw": "10.2.0.1"}`, "10.9.0.0/16 via 10.2.0.1 elsewhere"},
		{company, `{"dst": "10.9.0.0/16"}`, "10.9.0.0/16 elsewhere"},
		{company, `{"gw": "10.2.0.1"}`, ""},
		{same, `{"dst": "10.9.0.0/16", "gw": "10.1.0.9"}`, "10.9.0.0/16 via 10.1.0.9 elsewhere"},
		{bare, `{"dst": "10.9.0.0/16"}`, "10.9.0.0/16 elsewhere"},
		{bare, `{"dst": "10.9.0.0/16", "gw": "10.1.0.9"}`, "10.9.0.0/16 via 10.1.0.9"},
	} {
		got, err := read(t, c.prev+`"routes": [`+c.route+`]}`, Options{})
		got = strings.TrimPrefix(strings.TrimPrefix(got, "gateway 10.1.0.1"), "; ")
		if err != nil || got != c.want {
			t.Errorf("%s of %s: %q, %v; want %q", c.route, c.prev, got, err, c.want)
		}
	}
}
