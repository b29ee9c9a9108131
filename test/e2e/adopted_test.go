package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"

	"github.com/trestle-cni/trestle/test/laws"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/reference"
	"github.com/trestle-cni/trestle/test/snapshot"
	"github.com/trestle-cni/trestle/test/space"
)

// TestAdoptEverything is law 11 of every configuration that the laws hold, as far as the reference can run it: it attaches a container; then a flush of the
// packet filter, REPAIR and a GC in any order leave it in peace and whole; our DEL ends it.
func TestAdoptEverything(t *testing.T) {
	t.Parallel()
	if !space.Tun() { // nor may the reference
		refused["82-guest.conflist/1.10.0, nftables"] = "failed to run command open"
	}
	for _, file := range networks(t) {
		name := nameOf(file)
		for build, from := range takenFrom() {
			if build == "1.10.0, iptables" && !chooses(t, file) {
				continue // it has no such choice, or begins on a bridge that the others show
			}
			t.Run(name+"/"+build, func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) { adoptNetwork(t, from, file, cmp.Or(refused[name], refused[name+"/"+build])) })
			})
		}
	}
}

// chooses says whether a plugin of the network has the choice between packet filters.
func chooses(t *testing.T, file string) bool {
	text, err := os.ReadFile(file)
	must(t, err)
	return regexp.MustCompile(`"type": *"(bridge|portmap|ptp)"`).Match(text)
}

// nameOf is the plugin and the file's name.
func nameOf(file string) string {
	if filepath.Ext(file) == ".json" {
		return filepath.Base(filepath.Dir(filepath.Dir(filepath.Dir(file)))) + "-" + filepath.Base(file)
	}
	return filepath.Base(file)
}

// networks are the files of the configurations.
func networks(t *testing.T) (list []string) {
	for _, plugin := range []string{"bandwidth", "bridge", "firewall", "portmap", "ptp", "tuning"} {
		found, err := filepath.Glob("../../plugins/" + plugin + "/testdata/config/*.json")
		must(t, err)
		list = append(list, found...)
	}
	found, err := filepath.Glob("../../conf/*.conflist")
	must(t, err)
	return append(list, found...)
}

// refused is what no build of the reference does, or not this one, by file or by file and build: a part of what it says. It is held to that, so that
// nothing is left out that it has learned.
var refused = map[string]string{
	"82-guest.conflist/1.1.1":                      "failed to find plugin",
	"84-tagged.conflist":                           "operation not supported",
	"85-parted.conflist":                           "operation not supported",
	"86-shared.conflist":                           "operation not supported",
	"87-own.conflist/1.1.1":                        "failed to find plugin",
	"87-own.conflist/1.10.0, nftables":             "operation not supported",
	"bridge-dual-stack.json":                       "file exists", // its own default route beside the configuration's
	"bridge-vlan-gateway.json":                     "operation not supported",
	"bridge-vlan-trunk.json/1.10.0, nftables":      "operation not supported",
	"bridge-vlan-trunk.json/1.10.0, iptables":      "operation not supported",
	"firewall-isolated.json/1.1.1":                 "unknown ingress policy",
	"firewall-isolated-iptables.json/1.1.1":        "unknown ingress policy",
	"portmap-masquerade-all.json/1.10.0, nftables": "iptables-specific options",
	"portmap-every-key.json/1.1.1":                 "Bad argument",
	"ptp-bare.json":                                "no plugin name provided",
	"ptp-static.json":                              "failed to delete route",
	"tuning-args.json":                             "panic",
}

// network reads the file as a conflist, and what a runtime would add to it for a container.
func networkOf(t *testing.T, file string, from others) (*libcni.NetworkConfigList, map[string]any) {
	chain, err := laws.ReadList(file)
	if filepath.Ext(file) == ".json" {
		chain, err = laws.ReadConfig(file)
	}
	must(t, err)
	plugins, capabilities := chain.Plugins, make(map[string]any)
	if inner := plugins[0]["plugins"]; inner != nil {
		outer := plugins[0]
		must(t, json.Unmarshal(inner, &plugins))
		plugins[len(plugins)-1]["runtimeConfig"] = outer["runtimeConfig"]
	}
	if slices.Contains([]string{"bandwidth", "firewall", "portmap", "tuning"}, plugins[0].Type()) {
		plugins = append([]laws.Config{{"type": json.RawMessage(`"bridge"`), "bridge": json.RawMessage(`"br0"`), "isDefaultGateway": json.RawMessage("true"),
			"ipMasq": json.RawMessage("true"), "ipam": json.RawMessage(`{"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00:1::/64"}]]}`)}}, plugins...)
	}
	for _, plugin := range plugins {
		from.chosen(plugin)
		from.spare(plugin)
		runtime := make(map[string]any)
		if raw := plugin["runtimeConfig"]; raw != nil {
			must(t, json.Unmarshal(raw, &runtime))
		}
		delete(plugin, "runtimeConfig")
		for _, key := range slices.Sorted(maps.Keys(runtime)) {
			plugin["capabilities"] = json.RawMessage(fmt.Sprintf(`{%q: true}`, key))
		}
		maps.Copy(capabilities, runtime)
	}
	version := chain.Version
	if version == "1.1.0" {
		version = "1.0.0" // which all builds speak
	}
	raw, err := json.Marshal(map[string]any{"cniVersion": version, "name": chain.Network, "plugins": plugins})
	must(t, err)
	list, err := libcni.ConfListFromBytes(raw)
	must(t, err)
	return list, capabilities
}

// chosen gives the plugin the suite's backends, where it has not got one.
func (s others) chosen(plugin laws.Config) {
	for key, member := range map[string]string{"bridge": s.masquerade, "ptp": s.masquerade, "portmap": s.ports} {
		if name, value, ok := strings.Cut(strings.Trim(member, ","), ": "); ok && plugin.Type() == key && plugin[strings.Trim(name, `"`)] == nil {
			plugin[strings.Trim(name, `"`)] = json.RawMessage(value)
		}
	}
}

// spare takes away the keys that the suite does not know, and what makes its result another one; CHECK rightly misses that.
func (s others) spare(plugin laws.Config) {
	for _, key := range []string{"acceptRA", "unshapedSubnets", "shapedSubnets", "maxBurst", "latency", "shapeInContainer", "linkType", "gatewayMode", "rpFilter", "hostShim", "restore"} {
		delete(plugin, key)
	}
	if s.dir == reference.Debian.Dir {
		for _, key := range []string{"portIsolation", "vlanTrunk", "txQLen", "masqAll"} {
			delete(plugin, key)
		}
	}
	if raw := plugin["runtimeConfig"]; raw != nil { // it takes protocols in lower case
		plugin["runtimeConfig"] = bytes.ReplaceAll(raw, []byte("SCTP"), []byte("sctp"))
	}
}

func adoptNetwork(t *testing.T, from others, file, refusal string) {
	list, capabilities := networkOf(t, file, from)
	must(t, os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")) // the reference runs iptables
	s := &settled{newStreet(t), libcni.NewCNIConfigWithCacheDir([]string{from.dir}, "/var/lib/cni", nil), list, ""}
	s.container("c0")
	marked(t)
	s.hangs(filepath.Base(file))
	rt := &libcni.RuntimeConf{ContainerID: "c0", NetNS: netnsDir + "c0", IfName: "eth0", CapabilityArgs: capabilities}
	_, err := s.cni.AddNetworkList(t.Context(), list, rt)
	if refusal != "" {
		if !strings.Contains(fmt.Sprint(err), refusal) {
			t.Errorf("the reference says %v, want %s", err, refusal)
		}
		return
	}
	must(t, err)
	s.livesOn(rt, "gc", "flush", "gc", "repair", "gc")
	must(t, s.ours().DelNetworkList(t.Context(), list, rt))
	for line := range strings.Lines(s.tool("gc", "--yes")) {
		if !strings.HasSuffix(line, "nobody is left who needs it\n") && !strings.HasPrefix(line, "nothing to remove") {
			t.Errorf("after DEL gc finds: %s", line)
		}
	}
}

// hangs makes what the network's links hang on, beside the uplink: a device to lend, a wire with a DHCP server.
func (s *settled) hangs(file string) {
	switch file {
	case "83-nic.conflist":
		shell(s.T, "ip link add ens5 type veth peer name ens5-far; ip link set ens5-far up; ip link set ens5 up")
	case "88-leased.conflist":
		s.container("far")
		shell(s.T, "ip link add lan0 type veth peer name lan1 netns far; ip link set lan0 up; ip -n far address add 10.9.0.1/24 dev lan1; ip -n far link set lan1 up")
		speak(s.T, "DHCP, sockets bound", append([]string{"/bin/ip", "netns", "exec", "far"}, dnsmasq("lan1", pool)...)...)
		speak(s.T, "listens at", filepath.Join(os.Getenv(pluginsVar), "dhcp"), "daemon")
	}
}

// livesOn takes the steps, beside a container that lives: it is not touched, and whole whenever the packet filter is.
func (s *settled) livesOn(rt *libcni.RuntimeConf, steps ...string) {
	check := func(when string) {
		if s.list.CNIVersion == "0.2.0" {
			return // it has no CHECK
		}
		if err := s.ours().CheckNetworkList(s.Context(), s.list, rt); err != nil {
			s.Errorf("CHECK %s: %v", when, err)
		}
	}
	check("at once")
	attached := unfiltered(snapshot.Take(s, rt.NetNS))
	for _, step := range steps {
		switch step {
		case "flush":
			flush(s.T)
			marked(s.T)
		case "repair":
			s.tool("repair")
			check("after repair")
		case "gc":
			if out := s.tool("gc", "--yes"); !strings.HasPrefix(out, "nothing to remove") {
				s.Errorf("gc of the living: %s", out)
			}
		}
	}
	if after := unfiltered(snapshot.Take(s, rt.NetNS)); after != attached {
		s.Errorf("not as attached:\n%s", snapshot.Diff(attached, after))
	}
}

// marked makes the chain of another that one of the networks names.
func marked(t *testing.T) {
	for _, tool := range []string{"iptables", "ip6tables"} {
		must(t, exec.Command(tool, "-t", "nat", "-N", "KUBE-MARK-MASQ").Run())
	}
}

// unfiltered is the snapshot less the packet filter.
func unfiltered(text string) string {
	return snapshot.Without(text, func(line string) bool {
		words := strings.Fields(line)
		return len(words) > 1 && slices.Contains([]string{"table", "chain", "rule", "set", "element", "map", "iptables"}, words[1])
	})
}
