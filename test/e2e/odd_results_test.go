package e2e

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// oddResults are what a plugin of somebody else's may hand on, as members of a result in which $HOST is the host's end of the container's link.
var oddResults = []string{
	``,
	`"interfaces": null, "ips": null, "routes": null, "dns": null`,
	`"interfaces": [], "ips": []`,
	`"interfaces": [{}], "ips": [{"address": "10.1.0.2/24"}]`,
	`"interfaces": [null], "ips": [{"address": "10.1.0.2/24", "interface": 0}]`,
	`"interfaces": [{"name": "eth0", "sandbox": "/run/netns/c1"}], "ips": [{"address": "10.1.0.2/24", "interface": 99}]`,
	`"interfaces": [{"name": "eth0", "sandbox": "/run/netns/c1"}], "ips": [{"address": "10.1.0.2/24", "interface": -1}]`,
	`"interfaces": [{"name": "$HOST"}, {"name": "eth0", "sandbox": "/run/netns/c1"}], "ips": [null]`,
	`"interfaces": [{"name": "$HOST"}, {"name": "eth0", "sandbox": "/run/netns/c1"}], "ips": [{"address": "0.0.0.0/0", "interface": 1}, {"address": "::/0"}]`,
	`"interfaces": [{"name": "$HOST"}, {"name": "eth0", "sandbox": "/run/netns/c1"}], "ips": [{"address": "10.1.0.2/24"}, {"address": "10.1.0.2/24"}, {"address": "10.1.0.2/32"}]`,
	`"interfaces": [{"name": "$HOST"}, {"name": "eth0", "sandbox": "/run/netns/c1"}], "ips": [{"address": "::ffff:10.1.0.2/120"}, {"address": "fe80::2/64"}, {"address": "224.0.0.2/24"}]`,
	`"interfaces": [{"name": "../../etc/passwd"}, {"name": "a name that no link can have"}, {"name": "eth0", "sandbox": "/run/netns/c1"}], "ips": [{"address": "10.1.0.2/24", "interface": 2}]`,
	`"interfaces": [{"name": "$HOST"}, {"name": "eth0", "sandbox": "/run/netns/other"}, {"name": "eth0", "sandbox": "/run/netns/c1", "mac": "no address", "mtu": -1}], "ips": [{"address": "10.1.0.2/24", "interface": 2, "gateway": "::1"}]`,
	`"interfaces": [{"name": "eth0"}, {"name": "eth0", "sandbox": "/run/netns/c1"}, {"name": "lo"}], "ips": [{"address": "10.1.0.2/24", "interface": 0}]`,
	`"interfaces": [{"name": "$HOST\u0000\n"}, {"name": "eth0\u001b[2J", "sandbox": "/run/netns/c1"}], "ips": [{"address": "10.1.0.2/24", "interface": 1}]`,
	`"interfaces": [{"name": "$HOST"}, {"name": "eth0", "sandbox": "/run/netns/c1"}], "ips": [{"address": "10.1.0.2/24"}], "routes": [{"dst": "0.0.0.0/0", "gw": "10.9.9.9"}], "dns": {"nameservers": [""]}`,
	`"interfaces": {}, "ips": {}`,
	`"interfaces": "eth0"`,
	`"ips": [{"address": "10.1.0.2"}]`,
	`"ips": [{"address": ""}]`,
}

// chainedKeys are what each chained plugin is asked for.
var chainedKeys = map[string]string{
	"firewall": `"ingressPolicy": "isolated"`, "tuning": `"mtu": 1400, "mac": "0a:58:0a:01:00:01", "sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1"}`, "bandwidth": shapedKeys,
	"portmap": `"runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}`,
}

// TestOddResults has each chained plugin take, or refuse in words, whatever result comes to it; a DEL never fails for it, and afterwards all is as it was.
func TestOddResults(t *testing.T) {
	for plugin, keys := range chainedKeys {
		t.Run(plugin, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				nstest.Namespace(t, "c1")
				s := newShaped(t, "eth0")
				config := func(members string) string {
					return fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "net", "type": %q, %s, "prevResult": {"cniVersion": "1.0.0", %s}}`, plugin, keys,
						strings.ReplaceAll(strings.TrimSuffix(members, ", "), "$HOST", s.host()))
				}
				succeed(t, "ADD", plugin, "c1", strings.Replace(config(`"x": 0`), `{"cniVersion": "1.0.0", "x": 0}`, s.prev, 1))
				succeed(t, "DEL", plugin, "c1", config(`"x": 0`)) // the ground of all
				before := snapshot.Take(t, netnsDir+"c1")
				for _, members := range oddResults {
					if members == "" {
						members = `"x": 0`
					}
					for _, verb := range []string{"ADD", "CHECK", "DEL", "DEL"} {
						r, err := invoke(verb, plugin, "c1", config(members))
						must(t, err)
						if strings.Contains(string(r.Err)+string(r.Out), "panic") || r.Status != 0 && (r.Msg == "" || r.Code == 0) || verb == "DEL" && r.Status != 0 {
							t.Errorf("%s of %s: status %d, code %d: %s\n%s", verb, members, r.Status, r.Code, r.Msg, r.Err)
						}
					}
					if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1")); diff != "" {
						t.Errorf("%s: the state is not as it was:\n%s", members, diff)
						before = snapshot.Take(t, netnsDir+"c1")
					}
				}
			})
		})
	}
}

// TestOwnNamespace hands every plugin the host's own namespace, by two paths: none changes anything there.
func TestOwnNamespace(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		nstest.Namespace(t, "c1")
		s := newShaped(t, "eth0")
		before := snapshot.Take(t, netnsDir+"c1")
		all := maps.Clone(chainedKeys)
		all["ptp"], all["bridge"] = hostLocal(subnet)+`, "sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1"}`, `"bridge": "cni7", `+hostLocal(subnet)
		for plugin, keys := range all {
			config := fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "net", "type": %q, %s, "prevResult": %s}`, plugin, keys, s.prev)
			for _, path := range []string{"/proc/self/ns/net", "/proc/thread-self/ns/net"} {
				for _, verb := range []string{"ADD", "CHECK"} {
					if r, err := invoke(verb, plugin, "c1", config, "CNI_NETNS="+path); err != nil || r.Status == 0 {
						t.Errorf("%s of %s in %s: %v: %s", verb, plugin, path, err, r.Out)
					}
				}
			}
		}
		if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1")); diff != "" {
			t.Errorf("the state is not as it was:\n%s", diff)
		}
	})
}

// oddValues are refused, by the key, before anything is made; each of a plugin that is otherwise asked for what works.
var oddValues = []struct{ plugin, keys, says string }{
	{"firewall", `"backend": "IPTABLES"`, "backend: "},
	{"firewall", `"backend": ["iptables"]`, "backend: "},
	{"firewall", `"ingressPolicy": "Isolated"`, "ingressPolicy: "},
	{"firewall", `"ingressPolicy": " same-bridge"`, "ingressPolicy: "},
	{"firewall", `"ingressPolicy": {}`, "ingressPolicy: "},
	{"firewall", `"firewalldZone": 5`, "firewalldZone: "},
	{"firewall", `"iptablesAdminChainName": 5`, "iptablesAdminChainName: "},
	{"tuning", `"sysctl": []`, "sysctl: "},
	{"tuning", `"sysctl": {"": "1"}`, "must be a setting below net"},
	{"tuning", `"sysctl": {" net.ipv4.conf.IFNAME.arp_filter": "1"}`, "must be a setting below net"},
	{"tuning", `"sysctl": {"net.ipv4.conf.IFNAME.arp_filter": null}`, "must be a string"},
	{"tuning", `"sysctl": {"net.ipv4.conf.IFNAME.arp_filter": true}`, "must be a string"},
	{"tuning", `"dataDir": 5`, "dataDir: "},
	{"tuning", `"dataDir": "here"`, "dataDir: "},
	{"tuning", `"promisc": "true"`, "promisc: "},
	{"tuning", `"allmulti": 1`, "allmulti: "},
	{"tuning", `"mac": " 0a:58:0a:01:00:01"`, "mac: "},
	{"tuning", `"mac": "ff:ff:ff:ff:ff:ff"`, "mac: "},
	{"tuning", `"args": {"cni": []}`, "args.cni: "},
	{"tuning", `"runtimeConfig": {"mac": 5}`, "runtimeConfig.mac: "},
	{"bandwidth", shapedKeys + `, "unshapedSubnets": ["10.0.0.1"]`, "unshapedSubnets[0]: "},
	{"bandwidth", shapedKeys + `, "unshapedSubnets": "10.0.0.0/8"`, "unshapedSubnets: "},
	{"bandwidth", shapedKeys + `, "shapedSubnets": ["::/0", "fd00::/7"]`, "shapedSubnets[1]: "},
	{"bandwidth", `"runtimeConfig": {"bandwidth": []}`, "runtimeConfig.bandwidth: "},
	{"bandwidth", `"runtimeConfig": {"bandwidth": {"ingressRate": "8M", "ingressBurst": 5000}}`, "runtimeConfig.bandwidth.ingressRate: "},
	{"bandwidth", shapedKeys + `, "shapeInContainer": "yes"`, "shapeInContainer: "},
	{"ptp", `"ipMasq": 1`, "ipMasq: "},
	{"ptp", `"ipMasqBackend": "NFTables"`, "ipMasqBackend: "},
	{"ptp", `"ipMasqExclude": ["10.0.0.1"]`, "ipMasqExclude[0]: "},
	{"ptp", `"gatewayMode": "Proxy"`, "gatewayMode: "},
	{"ptp", `"linkType": "macvlan"`, "linkType: "},
	{"ptp", `"sysctl": {"net.ipv6.conf.IFNAME.mtu": "1400"}`, "the kernel gives it the interface's own"},
	{"ptp", `"ipam": {"type": "static", "addresses": {"address": "10.61.0.5/24"}}`, "addresses: "},
	{"ptp", `"ipam": {"type": "static", "addresses": [{"address": "010.061.000.005/24"}]}`, "addresses[0].address: "},
	{"ptp", `"ipam": {"type": "static", "addresses": [{"address": "fe80::5%eth0/64"}]}`, "addresses[0].address: "},
	{"ptp", `"ipam": {"type": "static", "addresses": [{"address": "10.61.0.5/24"}], "detectConflict": "yes"}`, "detectConflict: "},
	{"ptp", `"ipam": {"type": "static", "addresses": [{"address": "10.61.0.5/24"}], "routes": [{"dst": "192.0.2.5"}]}`, "routes[0].dst: "},
	{"ptp", `"ipam": {"type": "static"}, "runtimeConfig": {"ips": "10.61.0.8/24"}`, "runtimeConfig.ips: "},
	{"ptp", `"ipam": {"type": "static"}, "runtimeConfig": {"ips": [" 10.61.0.8/24"]}`, "runtimeConfig.ips: "},
}

// TestOddValues tries them in one host.
func TestOddValues(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		nstest.Namespace(t, "c1")
		nstest.Namespace(t, "c2")
		s := newShaped(t, "eth0")
		before := snapshot.Take(t, netnsDir+"c1", netnsDir+"c2")
		for _, v := range oddValues {
			container, prev := "c1", `, "prevResult": `+s.prev
			if v.plugin == "ptp" {
				container, prev = "c2", ""
			}
			config := fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "net", "type": %q, %s%s}`, v.plugin, v.keys, prev)
			r, err := invoke("ADD", v.plugin, container, config)
			must(t, err)
			if r.Status == 0 || r.Code != fault.Config || !strings.Contains(r.Msg, v.says) {
				t.Errorf("%s, %s: code %d: %s; want %q", v.plugin, v.keys, r.Code, r.Msg, v.says)
			}
			succeed(t, "DEL", v.plugin, container, config)
		}
		if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1", netnsDir+"c2")); diff != "" {
			t.Errorf("the state is not as it was:\n%s", diff)
		}
	})
}
