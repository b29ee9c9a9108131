package observe

import (
	"encoding/base64"
	"fmt"
	"slices"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// pods are two as a runtime of Kubernetes has them: each container in two networks, its loopback and one with a published port, made by the
// reference under nftables, whose rules name the container alone.
func pods(t *testing.T) {
	t.Helper()
	script := `ip link add cni0 type bridge; ip addr add 10.8.0.1/24 dev cni0; ip link set cni0 up
nft 'add table ip cni_hostport; add chain ip cni_hostport hostports; add table inet cni_plugins_masquerade
add chain inet cni_plugins_masquerade masq_checks'
`
	for i, id := range []string{"c1", "c2"} {
		path, address, link := nstest.Namespace(t, id), fmt.Sprintf("10.8.0.%d", i+2), fmt.Sprintf("veth%d", i)
		script += fmt.Sprintf(`ip -n %[1]s link set lo up; ip link add %[3]s type veth peer name eth0 netns %[1]s; ip link set %[3]s master cni0 up
ip -n %[1]s addr add %[2]s/24 dev eth0; ip -n %[1]s link set eth0 up
nft 'add rule ip cni_hostport hostports tcp dport %[4]d dnat to %[2]s:80 comment "%[1]s"
add rule inet cni_plugins_masquerade masq_checks ip saddr %[2]s masquerade comment "abc, net: net, if: eth0, id: %[1]s"'
`, id, address, link, 8080+i)
		remembers(t, "lo", id, "lo", path, `{"type": "loopback"}`, "", fmt.Sprintf(`{"cniVersion": "1.0.0", "interfaces": [{"name": "lo", "sandbox": %q}],
 "ips": [{"interface": 0, "address": "127.0.0.1/8"}, {"interface": 0, "address": "::1/128"}]}`, path))
		remembers(t, "net", id, "eth0", path, `{"plugins": [{"type": "bridge", "ipMasq": true, "isGateway": true}, {"type": "portmap"}]}`,
			fmt.Sprintf(`{"portMappings": [{"hostPort": %d, "containerPort": 80, "protocol": "TCP"}]}`, 8080+i),
			fmt.Sprintf(`{"interfaces": [{"name": "cni0"}, {"name": %q}, {"name": "eth0", "sandbox": %q}],
 "ips": [{"interface": 2, "address": "%s/24", "gateway": "10.8.0.1"}]}`, link, path, address))
	}
	shell(t, script)
}

func shell(t *testing.T, script string) {
	t.Helper()
	nstest.Program(t, "", "sh", "-ec", "PATH=$PATH:/usr/sbin:/sbin; "+script)
}

// remembers writes what libcni would.
func remembers(t *testing.T, network, id, ifName, netns, list, capabilities, result string) {
	t.Helper()
	if capabilities == "" {
		capabilities = "null"
	}
	write(t, fmt.Sprintf(`{"kind": "cniCacheV1", "containerId": %q, "ifName": %q, "networkName": %q, "netns": %q, "config": %q,
 "capabilityArgs": %s, "result": %s}`, id, ifName, network, netns, base64.StdEncoding.EncodeToString([]byte(list)), capabilities, result),
		"/var/lib/cni/results", network+"-"+id+"-"+ifName)
}

// A container in two networks is two attachments and no third, and each rule is found to be the one's that was given its address.
func TestPodsOfTheReference(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		pods(t)
		list := read(t).Attachments
		if len(list) != 4 {
			t.Errorf("%d attachments, want four", len(list))
		}
		for _, a := range list {
			if a.State != Whole || a.Origin != Reference || (len(a.Ports) == 1) != (a.IfName == "eth0") {
				t.Errorf("%s: %s %v by %s with ports %v, want whole", a.ID, a.State, a.Why, a.Origin, a.Ports)
			}
		}
	})
}

// What is gone of what the reference made is named, though nobody can be asked for a CHECK.
func TestFaultsOfTheReferences(t *testing.T) {
	for name, fault := range map[string][2]string{
		"bridge-gone": {"ip link del cni0", "bridge cni0: not found on the host"},
		"bridge-down": {"ip link set cni0 down", "bridge cni0: down"},
		"port-off":    {"ip link set veth0 nomaster", "link veth0: not a port of cni0"},
		"gateway":     {"ip addr del 10.8.0.1/24 dev cni0", "gateway 10.8.0.1: not on the host"},
		"address":     {"ip -n c1 addr del 10.8.0.2/24 dev eth0", "address 10.8.0.2/24: not on eth0"},
		"flush":       {"nft flush chain ip cni_hostport hostports", "port 8080/tcp: no rule publishes it"},
		"masquerade":  {"nft flush chain inet cni_plugins_masquerade masq_checks", "masquerade: no rule"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				pods(t)
				shell(t, fault[0])
				a := read(t).Attachment("net/c1/eth0")
				if a.State != Broken || !slices.Contains(a.Why, fault[1]) {
					t.Errorf("%s %v, want broken: %s", a.State, a.Why, fault[1])
				}
			})
		})
	}
}

// What has no link on the host is not whole when the network namespace is gone that its runtime gave it, whoever made it. That is no proof that the container is dead.
func TestNamespaceIsGone(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		for name, list := range map[string]string{
			"macvlan": `{"plugins": [{"type": "macvlan", "master": "up0"}]}`, "tap": `{"plugins": [{"type": "tap"}]}`, "host-device": `{"plugins": [{"type": "host-device", "device": "d0"}]}`,
			"stranger": `{"plugins": [{"type": "sriov"}]}`,
		} {
			path := nstest.Namespace(t, name)
			remembers(t, "net", name, "eth0", path, list, "", fmt.Sprintf(`{"interfaces": [{"name": "eth0", "sandbox": %q}], "ips": [{"interface": 0, "address": "10.8.0.2/24"}]}`, path))
			nstest.Remove(t, path)
		}
		list := read(t).Attachments
		if len(list) != 4 {
			t.Errorf("%d attachments, want four", len(list))
		}
		for _, a := range list {
			if want := "network namespace " + a.Netns + ": gone"; a.State != Broken || !slices.Contains(a.Why, want) {
				t.Errorf("%s: %s %v, want broken: %s", a.ID, a.State, a.Why, want)
			}
		}
	})
}

// Files of an older libcni, as containerd 1.6 has it, do not say which namespace was given. What a result says of it is taken, and of what nothing says it
// nothing is claimed: one that is not known is not one that is gone.
func TestNamespaceIsNotWritten(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		for name, kind := range map[string]string{"lo": "loopback", "macvlan": "macvlan", "stranger": "sriov", "old": "macvlan"} {
			path := nstest.Namespace(t, name)
			result := fmt.Sprintf(`{"interfaces": [{"name": "lo", "sandbox": %q}]}`, path)
			if name == "old" {
				result = `{"cniVersion": "0.2.0"}`
			}
			remembers(t, "net", name, "lo", "", fmt.Sprintf(`{"plugins": [{"type": %q}]}`, kind), "", result)
			shell(t, "ip -n "+name+" link set lo up")
		}
		list := read(t).Attachments
		if len(list) != 4 {
			t.Errorf("%d attachments, want four", len(list))
		}
		for _, a := range list {
			if a.State != Whole || (a.Namespace == "") != (a.ContainerID == "old") {
				t.Errorf("%s: %s %v in %q, want whole", a.ID, a.State, a.Why, a.Namespace)
			}
		}
	})
}
