package static

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/grant"
	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/test/golden"
)

const two = `"ipam": {"addresses": [{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}, {"address": "fd00::5/64"}]}`

// sources has what comes of each source of addresses, alone and with others: address and gateway of each, or the complaint.
var sources = []struct{ config, args, want string }{
	{two, "", "10.1.0.5/24 10.1.0.1, fd00::5/64 -"},
	{two, "GATEWAY=fd00::1", "10.1.0.5/24 10.1.0.1, fd00::5/64 fd00::1"},
	{two, "GATEWAY=10.1.0.9, fd00::1", "10.1.0.5/24 10.1.0.1, fd00::5/64 fd00::1"},
	{two, "IP=10.1.0.7/24", "10.1.0.5/24 10.1.0.1, fd00::5/64 -, 10.1.0.7/24 10.1.0.1"},
	{two, "IP= 10.1.0.7 ,192.0.2.7/25;GATEWAY=192.0.2.1", "10.1.0.5/24 10.1.0.1, fd00::5/64 -, 10.1.0.7/24 10.1.0.1, 192.0.2.7/25 192.0.2.1"},
	{two + `, "runtimeConfig": {"ips": ["10.1.0.8/24"]}`, "IP=10.1.0.7/24", "10.1.0.8/24 10.1.0.1"},
	{two + `, "runtimeConfig": {"ips": ["10.1.0.8"]}`, "", "10.1.0.8/24 10.1.0.1"},
	{two + `, "runtimeConfig": {"ips": ["fd00::8", "10.1.0.8"]}`, "", "fd00::8/64 -, 10.1.0.8/24 10.1.0.1"},
	{two + `, "args": {"cni": {"ips": ["10.1.0.9/24"]}}`, "", "10.1.0.9/24 10.1.0.1"},
	{two + `, "args": {"cni": {"ips": ["10.1.0.9/24"]}}, "runtimeConfig": {"ips": ["10.1.0.8/24"]}`, "", "10.1.0.8/24 10.1.0.1"},
	{two + `, "runtimeConfig": {"ips": []}`, "", "10.1.0.5/24 10.1.0.1, fd00::5/64 -"},
	{`"ipam": {}`, "IP=10.1.0.7/24", "10.1.0.7/24 -"},
	{`"ipam": {}, "runtimeConfig": {"ips": ["192.0.2.1/32"]}`, "", "192.0.2.1/32 -"},
	{`"ipam": {"addresses": [{"address": "10.1.0.5/24", "gateway": "0.0.0.0"}]}`, "", "10.1.0.5/24 -"},
	{`"ipam": {"addresses": [{"address": "fd00::5/64", "gateway": "fe80::1"}]}`, "", "fd00::5/64 fe80::1"},
	{`"ipam": {"addresses": [{"address": "fd00::5/128", "gateway": "fe80::1"}]}, "runtimeConfig": {"ips": ["fd00::5/128"]}`, "", "fd00::5/128 fe80::1"},
	{`"ipam": {"addresses": [{"address": "10.1.0.5/24", "gateway": "fe80::1"}]}`, "",
		`ipam.addresses: "fe80::1": must be a gateway in 10.1.0.0/24, or have a route of scope 253 (link) that leads to it`},
	{`"ipam": {"addresses": [{"address": "10.1.0.5/32", "gateway": "10.9.0.1"}], "routes": [{"dst": "10.9.0.1/32", "scope": 253}]}`, "", "10.1.0.5/32 10.9.0.1"},

	{`"ipam": {}`, "", `ipam.addresses: null: must have an address, as in [{"address": "10.1.0.5/24"}], unless the runtime asks for one`},
	{`"ipam": {}, "runtimeConfig": {"ips": ["10.1.0.8"]}`, "", `ips: "10.1.0.8": must have a prefix length, as in 10.1.0.5/24: it is in the subnet of none of ipam.addresses`},
	{`"ipam": {"addresses": [{"gateway": "10.1.0.1"}]}`, "", `ipam.addresses[0].address: null: must be an address and prefix length, as in 10.1.0.5/24`},
	{`"ipam": {"addresses": [{"address": "10.1.0.5/24"}, {"address": "10.1.0.5/16"}]}`, "", `ipam.addresses: "10.1.0.5/16": must be there once`},
	{two, "IP=10.1.0.5/24", `ipam.addresses: "10.1.0.5/24": must be there once`},
	{`"ipam": {"addresses": [{"address": "10.1.0.5/24", "gateway": "10.9.0.1"}]}`, "",
		`ipam.addresses: "10.9.0.1": must be a gateway in 10.1.0.0/24, or have a route of scope 253 (link) that leads to it`},
	{`"ipam": {"addresses": [{"address": "10.1.0.5/24", "gateway": "fd00::1"}]}`, "",
		`ipam.addresses: "fd00::1": must be a gateway in 10.1.0.0/24, or have a route of scope 253 (link) that leads to it`},
	{two, "IP=ten", `CNI_ARGS IP: "ten": must be an IP address, with or without a prefix length`},
	{two, "GATEWAY=ten", `CNI_ARGS GATEWAY: "ten": must be an IP address`},
	{`"cniVersion": "0.2.0", "ipam": {"addresses": [{"address": "10.1.0.5/24"}, {"address": "10.1.0.6/24"}]}`, "",
		`ipam.addresses: 2: must be one of each family at the most with cniVersion 0.2.0`},
}

func TestSources(t *testing.T) {
	for _, c := range sources {
		k, err := keys.Parse([]byte("{" + c.config + "}"))
		if err != nil {
			t.Fatal(err)
		}
		r := &plugin.Request{Command: "ADD", Keys: k, Network: "net", Version: k.String("cniVersion", plugin.Current),
			Args: plugin.Environment(strings.Split(c.args, ";"))}
		got := ""
		if config, err := parse(r); err != nil {
			if got = err.Error(); fault.Code(err) != fault.Config {
				t.Errorf("%s: code %d", c.config, fault.Code(err))
			}
		} else {
			got = describe(config)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s, CNI_ARGS %q (-want +got):\n%s", c.config, c.args, diff)
		}
	}
}

// What a configuration may no longer say does not make a living container's CHECK fail.
func TestCheckMindsNoRoutes(t *testing.T) {
	for command, wrong := range map[string]bool{"ADD": true, "STATUS": true, "CHECK": false} {
		k, err := keys.Parse([]byte(`{"ipam": {"addresses": [{"address": "10.1.0.5/24", "gateway": "10.9.0.1"}], "routes": [{"dst": "0.0.0.0/0", "scope": 300}]}}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parse(&plugin.Request{Command: command, Keys: k, Version: plugin.Current}); (err != nil) != wrong {
			t.Errorf("%s: %v", command, err)
		}
	}
}

func describe(c config) string {
	var texts []string
	for _, g := range c.grants {
		gateway := "-"
		if g.Gateway.IsValid() {
			gateway = g.Gateway.String()
		}
		texts = append(texts, fmt.Sprint(g.Addr, " ", gateway))
	}
	return strings.Join(texts, ", ")
}

func TestKeysAreDocumented(t *testing.T) { golden.Documented(t) }

// What CHECK says of prevResult: the same set of addresses, each with its gateway.
func TestCompare(t *testing.T) {
	one := grant.Grant{Addr: netip.MustParsePrefix("10.1.0.5/24"), Gateway: netip.MustParseAddr("10.1.0.1")}
	two := grant.Grant{Addr: netip.MustParsePrefix("fd00::5/64")}
	other := one
	other.Gateway = netip.MustParseAddr("10.1.0.9")
	for _, c := range []struct {
		want, found []grant.Grant
		say         string
	}{
		{[]grant.Grant{one, two}, []grant.Grant{two, one}, ""},
		{[]grant.Grant{two}, []grant.Grant{{Addr: two.Addr, Gateway: netip.MustParseAddr("fd00::1")}}, ""}, // the interface's plugin chose it
		{[]grant.Grant{one, two}, []grant.Grant{one}, "fd00::5/64: configured, but prevResult has no such address"},
		{[]grant.Grant{one}, []grant.Grant{one, two}, "fd00::5/64: prevResult has it, but it is not configured"},
		{[]grant.Grant{one}, []grant.Grant{other}, "10.1.0.5/24: expected gateway 10.1.0.1, found 10.1.0.9"},
		{[]grant.Grant{one}, nil, "10.1.0.5/24: configured, but prevResult has no such address"},
	} {
		got := ""
		if err := compare(c.want, c.found); err != nil {
			got = err.Error()
		}
		if got != c.say {
			t.Errorf("%v, %v: %q, want %q", c.want, c.found, got, c.say)
		}
	}
}
