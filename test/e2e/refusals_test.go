package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
	"github.com/trestle-cni/trestle/test/space"
)

// refusal is one bad input, and the answer. Nothing may have changed after it.
type refusal struct {
	name   string
	plugin string // bridge without it
	verb   string // ADD without it
	config string
	env    []string
	stage  func(*testing.T) // what is there before
	code   uint
	says   []string // each in the message
	once   string   // in the message, and not twice
}

// network writes a bridge's configuration: the given keys, and of the rest what they do not set.
func network(keys string) string {
	for _, key := range []string{`"cniVersion": "1.1.0"`, `"name": "net"`, `"type": "bridge"`, `"bridge": "cni0"`} {
		if name, _, _ := strings.Cut(key, ":"); !strings.Contains(keys, name+":") {
			keys = key + ", " + keys
		}
	}
	return "{" + strings.TrimSuffix(keys, ", ") + "}"
}

// hostLocal writes an ipam section with one range set.
func hostLocal(ranges string) string {
	return `"ipam": {"type": "host-local", "ranges": [[` + ranges + `]]}`
}

const subnet = `{"subnet": "10.1.0.0/24"}`

// published writes portmap's configuration with a container's address and the mapping.
func published(mapping string) string {
	return `{"cniVersion": "1.1.0", "name": "net", "type": "portmap", "runtimeConfig": {"portMappings": [` + mapping + `]},
		"prevResult": {"cniVersion": "1.1.0", "interfaces": [{"name": "eth0", "sandbox": "/run/netns/c1"}],
		"ips": [{"address": "10.1.0.2/24", "interface": 0}]}}`
}

func TestRefusals(t *testing.T) {
	for _, table := range [][]refusal{protocolRefusals, keyRefusals, portRefusals, stateRefusals, delegateRefusals, loopbackRefusals} {
		for _, r := range table {
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) {
					must(t, os.Setenv("PATH", os.Getenv(toolsVar)))
					nstest.Namespace(t, "c1")
					if r.stage != nil {
						r.stage(t)
					}
					r.hold(t)
				})
			})
		}
	}
}

func (r refusal) hold(t *testing.T) {
	plugin, verb := "bridge", "ADD"
	if r.plugin != "" {
		plugin = r.plugin
	}
	if r.verb != "" {
		verb = r.verb
	}
	before := snapshot.Take(t, netnsDir+"c1")
	got, err := invoke(verb, plugin, "c1", r.config, r.env...)
	must(t, err)
	if got.Status == 0 || got.Code != r.code {
		t.Errorf("status %d, code %d: %s\nwant code %d", got.Status, got.Code, got.Msg, r.code)
	}
	for _, want := range r.says {
		if !strings.Contains(got.Msg, want) {
			t.Errorf("%q is not in the message %q", want, got.Msg)
		}
	}
	if r.once != "" && strings.Count(got.Msg, r.once) != 1 {
		t.Errorf("%q is not told once in the message %q", r.once, got.Msg)
	}
	if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1")); diff != "" {
		t.Errorf("a refused call changed\n%s", diff)
	}
}

var protocolRefusals = []refusal{
	{name: "not JSON", config: "bridge, please", code: fault.Decoding},
	{name: "nothing", config: "", code: fault.Decoding},
	{name: "a list", config: "[]", code: fault.Decoding},
	{name: "no name", config: `{"cniVersion": "1.1.0", "type": "bridge"}`, code: fault.Config, says: []string{"name"}},
	{name: "name with a path", config: network(`"name": "../net"`), code: fault.Config, says: []string{"../net"}},
	{name: "cniVersion unknown", config: network(`"cniVersion": "9.9.9"`), code: fault.Version, says: []string{"9.9.9", "1.1.0"}},
	{name: "cniVersion not a version", config: network(`"cniVersion": "one"`), code: fault.Version, says: []string{"one"}},
	{name: "no command known", verb: "FROB", config: network(""), code: fault.Environment, says: []string{"FROB"}},
	{
		name: "environment missing", config: network(""), env: []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME=", "CNI_PATH"},
		code: fault.Environment, says: []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"},
	},
	{name: "container ID with a path", config: network(""), env: []string{"CNI_CONTAINERID=../c1"}, code: fault.Environment, says: []string{"../c1"}},
	{name: "interface name too long", config: network(""), env: []string{"CNI_IFNAME=abcdefghijklmnop"}, code: fault.Environment, says: []string{"abcdefghijklmnop"}},
	{name: "namespace missing", config: network(""), env: []string{"CNI_NETNS=/run/netns/nobody"}, code: fault.Namespace, says: []string{"/run/netns/nobody"}},
	{
		name: "namespace a plain file", config: network(""), env: []string{"CNI_NETNS=/run/netns/file"}, code: fault.Namespace, says: []string{"/run/netns/file"},
		stage: func(t *testing.T) { must(t, os.WriteFile("/run/netns/file", nil, 0o644)) },
	},
	{name: "namespace of another kind", config: network(""), env: []string{"CNI_NETNS=/proc/self/ns/uts"}, code: fault.Namespace, says: []string{"/proc/self/ns/uts"}},
	{name: "namespace of another kind, CHECK", verb: "CHECK", config: network(""), env: []string{"CNI_NETNS=/proc/self/ns/mnt"}, code: fault.Namespace},
	{name: "namespace of another kind, lo", plugin: "loopback", config: loConfig, env: []string{"CNI_NETNS=/proc/self/ns/user"}, code: fault.Namespace},
	{name: "interface name reserved", config: network(""), env: []string{"CNI_IFNAME=all"}, code: fault.Environment, says: []string{"all"}},
	{name: "namespace the host's own", config: network(""), env: []string{"CNI_NETNS=/proc/self/ns/net"}, code: fault.Namespace, says: []string{"/proc/self/ns/net"}},
	{name: "DEL of the host's own", verb: "DEL", config: network(""), env: []string{"CNI_NETNS=/proc/self/ns/net"}, code: fault.Namespace},
	{name: "CNI_ARGS not pairs", config: network(""), env: []string{"CNI_ARGS=IP"}, code: fault.Environment, says: []string{"IP"}},
	{name: "CNI_ARGS unknown", config: network(""), env: []string{"CNI_ARGS=K8S_POD_NAME=a"}, code: fault.Environment, says: []string{"K8S_POD_NAME"}},
}

var keyRefusals = []refusal{
	{name: "every complaint at once", config: network(`"vlan": 5000, "mtu": "big", "hairpinMode": 1`), code: fault.Config, says: []string{"vlan: 5000: ", "mtu: ", "hairpinMode: "}},
	{name: "hairpin with promisc", config: network(`"hairpinMode": true, "promiscMode": true`), code: fault.Config, says: []string{"hairpinMode", "promiscMode"}},
	{name: "vlanTrunk half a range", config: network(`"vlanTrunk": [{"minID": 5}]`), code: fault.Config, says: []string{"vlanTrunk[0]"}},
	{name: "ipam with the container's end down", config: network(`"disableContainerInterface": true, ` + hostLocal(subnet)), code: fault.Config, says: []string{"disableContainerInterface"}},
	{name: "bridge name too long", config: network(`"bridge": "a-very-long-bridge-name"`), code: fault.Config, says: []string{"bridge: ", "a-very-long-bridge-name"}},
	{name: "bridge name reserved", config: network(`"bridge": "default"`), code: fault.Config, says: []string{"bridge: ", "default"}},
	{name: "ipam type with a path", config: network(`"ipam": {"type": "../host-local"}`), code: fault.Config, says: []string{"../host-local"}},
	{name: "subnet with host bits", config: network(hostLocal(`{"subnet": "10.1.0.1/24"}`)), code: fault.Config, says: []string{"10.1.0.1/24"}},
	{name: "subnet too small", config: network(hostLocal(`{"subnet": "10.1.0.0/31"}`)), code: fault.Config, says: []string{"10.1.0.0/31"}},
	{name: "ranges overlap", config: network(hostLocal(subnet + `, {"subnet": "10.1.0.0/25"}`)), code: fault.Config, says: []string{"10.1.0.126", "10.1.0.254", "overlap"}},
	{name: "range outside its subnet", config: network(hostLocal(`{"subnet": "10.1.0.0/24", "rangeStart": "10.2.0.1"}`)), code: fault.Config, says: []string{"10.2.0.1"}},
	{name: "no range", config: network(`"ipam": {"type": "host-local"}`), code: fault.Config, says: []string{"ranges"}},
}

var portRefusals = []refusal{
	{name: "hostPort 0", plugin: "portmap", config: published(`{"hostPort": 0, "containerPort": 80, "protocol": "tcp"}`), code: fault.Config, says: []string{"hostPort"}},
	{name: "hostPort 65536", plugin: "portmap", config: published(`{"hostPort": 65536, "containerPort": 80, "protocol": "tcp"}`), code: fault.Config, says: []string{"65536"}},
	{name: "protocol unknown", plugin: "portmap", config: published(`{"hostPort": 8080, "containerPort": 80, "protocol": "xtp"}`), code: fault.Config, says: []string{"xtp"}},
	{name: "hostIP not an address", plugin: "portmap", config: published(`{"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "here"}`), code: fault.Config, says: []string{"here"}},
	{name: "portmap not chained", plugin: "portmap", config: `{"cniVersion": "1.1.0", "name": "net", "type": "portmap"}`, code: fault.Config, says: []string{"prevResult"}},
}

var stateRefusals = []refusal{
	{
		name: "bridge name taken", config: network(`"bridge": "other0"`), code: fault.Taken, says: []string{"other0"},
		stage: func(t *testing.T) {
			must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "other0"}, PeerName: "other1"}))
		},
	},
	{
		name: "interface name taken", config: network(hostLocal(subnet)), code: fault.Taken, says: []string{"eth0"},
		stage: func(t *testing.T) {
			must(t, nstest.In(netnsDir+"c1", func() error {
				return netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth9"})
			}))
		},
	},
	{
		name: "another gateway on the bridge", config: network(`"isGateway": true, ` + hostLocal(`{"subnet": "10.2.0.0/24"}`)), code: fault.Taken,
		says:  []string{"10.1.0.1/24", "10.2.0.1/24"},
		stage: attached("c0", network(`"isGateway": true, `+hostLocal(subnet))),
	},
	{
		name: "no address left", config: network(hostLocal(`{"subnet": "10.1.0.0/30"}`)), code: fault.Exhausted, says: []string{"10.1.0.2"},
		stage: attached("c0", network(hostLocal(`{"subnet": "10.1.0.0/30"}`))),
	},
	{
		name: "requested address taken", config: network(hostLocal(subnet)), env: []string{"CNI_ARGS=IP=10.1.0.2"}, code: fault.Taken, says: []string{"10.1.0.2", "c0"},
		stage: attached("c0", network(hostLocal(subnet))),
	},
	{
		name: "requested address outside", config: network(hostLocal(subnet)), env: []string{"CNI_ARGS=IP=10.9.0.2"}, code: fault.Config, says: []string{"10.9.0.2"},
		stage: visited(network(hostLocal(subnet))),
	},
}

var delegateRefusals = []refusal{
	{
		name: "ipam not found", config: network(`"ipam": {"type": "nobody"}`), code: fault.Delegate, says: []string{"nobody", "CNI_PATH"}, once: "nobody",
		stage: visited(network(hostLocal(subnet))),
	},
	{
		name: "ipam crashes", config: network(`"ipam": {"type": "crash"}`), env: []string{"CNI_PATH=/run/plugins"}, code: fault.Delegate, says: []string{"crash", "boom"}, once: "boom",
		stage: delegate("crash", "echo boom >&2; kill -SEGV $$"),
	},
	{
		name: "ipam prints rubbish", config: network(`"ipam": {"type": "rubbish"}`), env: []string{"CNI_PATH=/run/plugins"}, code: fault.Delegate, says: []string{"rubbish", "hello"},
		stage: delegate("rubbish", "echo hello"),
	},
	{
		name: "ipam has its own code", config: network(`"ipam": {"type": "full"}`), env: []string{"CNI_PATH=/run/plugins"}, code: 123, says: []string{"none left"},
		stage: delegate("full", `[ $CNI_COMMAND = ADD ] || exit 0; echo '{"code": 123, "msg": "none left"}'; exit 1`),
	},
}

const loConfig = `{"cniVersion": "1.1.0", "name": "lo", "type": "loopback"}`

var loopbackRefusals = []refusal{
	{name: "lo, no configuration", plugin: "loopback", config: ``, code: fault.Decoding},
	{name: "lo, prevResult is none", plugin: "loopback", config: `{"prevResult": [1], ` + loConfig[1:], code: fault.Decoding, says: []string{"prevResult"}},
	{name: "lo, no namespace", plugin: "loopback", config: loConfig, env: []string{"CNI_NETNS=/run/netns/none"}, code: fault.Namespace, says: []string{"/run/netns/none"}},
	{name: "lo, not a namespace", plugin: "loopback", config: loConfig, env: []string{"CNI_NETNS=/dev/null"}, code: fault.Namespace, says: []string{"/dev/null"}},
	{name: "lo down", plugin: "loopback", verb: "CHECK", config: loConfig, code: fault.Drift, says: []string{"expected up, found down"}},
	{
		name: "lo has an address for others", plugin: "loopback", config: loConfig, code: fault.Taken, says: []string{"10.7.0.1/32"},
		stage: func(t *testing.T) {
			must(t, nstest.In(netnsDir+"c1", func() error { return space.Addresses("lo", "10.7.0.1/32") }))
		},
	},
}

// attached leaves another container on the network.
func attached(container, config string) func(*testing.T) {
	return func(t *testing.T) {
		nstest.Namespace(t, container)
		succeed(t, "ADD", "bridge", container, config)
	}
}

// visited leaves what a network shares: a container was there, and has gone.
func visited(config string) func(*testing.T) {
	return func(t *testing.T) {
		attached("c0", config)(t)
		succeed(t, "DEL", "bridge", "c0", config)
	}
}

// delegate is an IPAM plugin in /run/plugins that is a shell script.
func delegate(name, script string) func(*testing.T) {
	return func(t *testing.T) {
		visited(network(hostLocal(subnet)))(t)
		must(t, os.MkdirAll("/run/plugins", 0o755))
		must(t, os.WriteFile("/run/plugins/"+name, []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	}
}

// succeed makes a call that must not fail.
func succeed(t *testing.T, verb, plugin, container, config string, changes ...string) *reply {
	t.Helper()
	got, err := invoke(verb, plugin, container, config, changes...)
	must(t, err)
	if got.Status != 0 {
		t.Fatalf("%s %s %s: code %d: %s", verb, plugin, container, got.Code, got.Msg)
	}
	return got
}
