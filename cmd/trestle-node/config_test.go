package main

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/cmd/trestle-node/reach"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/keys"
)

func parseText(t *testing.T, text string) (config, error) {
	t.Helper()
	o, err := keys.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return parse(o, "")
}

func TestConfig(t *testing.T) {
	c, err := parseText(t, `{"network": "pods", "node": "n1", "endpoints": ["http://192.0.2.1:2379"], "via": ["192.0.2.7"],
		"pool": {"cidrs": ["10.64.0.0/12", "fd00::/48"], "blockSize": {"ipv4": 26, "ipv6": 64}}}`)
	if err != nil {
		t.Fatal(err)
	}
	if c.places.Ranges != "/run/cni/blocks/pods.json" || c.places.Ledger != "/var/lib/cni/blocks/pods.json" || c.places.Data != "/var/lib/cni/networks" {
		t.Errorf("%+v", c.places)
	}
	if n := c.member.network; n.Conflist != "" || n.Plugins != "/opt/cni/bin" {
		t.Errorf("a list is written that nobody named, or plugins are looked for elsewhere: %+v", n)
	}
	if c.pool.Len(4) != 1<<14 || c.pool.Len(6) != 1<<16 || c.pool.Shape != "routed" || c.spare != 1 || c.maxBlocks != 16 {
		t.Errorf("%+v, %+v", c, c.pool)
	}
}

// A host of a cluster needs no store, and its agent is told by a flag, too, which source it has.
func TestMemberConfig(t *testing.T) {
	t.Setenv("NODE_NAME", "n7")
	const text = `{"network": "pods", "clusterCIDRs": ["10.244.0.0/16", "fd00::/48"], "kubeconfig": "/etc/kubernetes/kubelet.conf"`
	c, err := parseText(t, text+`, "source": "kubernetes"}`)
	if err != nil {
		t.Fatal(err)
	}
	if m := c.member.network; c.node != "n7" || m.Conflist != "/etc/cni/net.d/10-pods.conflist" || m.Plugins != "/opt/cni/bin" || len(m.Exclude) != 2 {
		t.Errorf("%+v", c)
	}
	o, err := keys.Parse([]byte(text + "}"))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := parse(o, kubernetesSource); err != nil || c.source != kubernetesSource {
		t.Errorf("by the flag: %v, %s", err, c.source)
	}
	for more, complaints := range map[string]int{`, "clusterCIDRs": ["10.244.0.1/16", "x", "10.0.0.0/8"]`: 2, `, "clusterCIDRs": []`: 1, "": 1} {
		_, err = parseText(t, `{"network": "pods", "source": "kubernetes"`+more+`}`)
		if err == nil || strings.Count(err.Error(), "clusterCIDRs: ") != complaints {
			t.Errorf("%s: %v", more, err)
		}
	}
}

// What a cluster is told to run is an agent that takes its file, has the files of it mounted under their own names, and may do all that it must.
func TestManifest(t *testing.T) {
	const dir = "../../deploy/kubernetes/cni/"
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(dir + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	c, err := parseText(t, regexp.MustCompile(`'(\{.*\})'`).FindStringSubmatch(read("config.yaml"))[1])
	if err != nil || c.source != kubernetesSource || c.reach.Mode != reach.Auto {
		t.Fatalf("%v, %+v", err, c)
	}
	manifest := read("daemonset.yaml")
	m := c.member.network
	for _, path := range []string{m.Conflist, m.Plugins + "/x", c.places.Ranges, c.places.Data + "/x"} {
		mounted := false
		for _, at := range regexp.MustCompile(`mountPath: ([^,}]+)`).FindAllStringSubmatch(manifest, -1) {
			mounted = mounted || strings.HasPrefix(path, at[1]+"/") && strings.Contains(manifest, "hostPath: {path: "+at[1]+",")
		}
		if !mounted {
			t.Errorf("%s is not the host's", path)
		}
	}
	if _, port, _ := net.SplitHostPort(c.listen); strings.Count(manifest, "port: "+port+",") != 2 {
		t.Errorf("probes ask elsewhere than %s", c.listen)
	}
}

// The unit lets the agent write where its file says by default, and nowhere else.
func TestUnit(t *testing.T) {
	text, err := os.ReadFile("trestle-node.service")
	if err != nil {
		t.Fatal(err)
	}
	unit := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			unit[key] = value
		}
	}
	c, err := parseText(t, `{"network": "pods", "source": "kubernetes", "clusterCIDRs": ["10.244.0.0/16"]}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{c.places.Ledger, c.places.Ranges, c.places.Data, c.member.network.Conflist} {
		writable := false
		for _, dir := range strings.Fields(unit["ReadWritePaths"]) {
			writable = writable || strings.HasPrefix(path, strings.TrimPrefix(dir, "-")+"/")
		}
		if !writable {
			t.Errorf("%s cannot be written", path)
		}
	}
	run, _, err := command().Find(strings.Fields(unit["ExecStart"])[1:])
	if err != nil || run.Name() != "run" || unit["ProtectSystem"] != "strict" || unit["CapabilityBoundingSet"] != "CAP_NET_ADMIN" {
		t.Errorf("%v, %v", err, unit)
	}
}

// What no other host reaches is no via.
func TestVia(t *testing.T) {
	for _, via := range []string{"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "169.254.0.1", "::", "::1", "fe80::1", "ff02::1", "fe80::1%eth0", ""} {
		_, err := parseText(t, `{"network": "pods", "node": "n1", "endpoints": ["http://192.0.2.1:2379"], "via": ["192.0.2.1", "`+via+`"]}`)
		if fault.Code(err) != fault.Config || strings.Count(err.Error(), "via: ") != 1 {
			t.Errorf("%q: %v", via, err)
		}
	}
}

// All that is wrong is said at once.
func TestComplaints(t *testing.T) {
	_, err := parseText(t, `{"network": "a/b", "node": "..", "source": "consul", "prefix": "cni", "certFile": "x", "via": ["n1"], "spare": -1, "timeout": 0,
		"pool": {"cidrs": ["10.64.0.0"], "blockSize": {"ipv4": 31}, "shape": "round"}}`)
	if fault.Code(err) != fault.Config {
		t.Fatalf("code %d: %v", fault.Code(err), err)
	}
	for _, key := range []string{"network", "node", "source", "prefix", "certFile", "via", "spare", "timeout", "endpoints", "pool.cidrs", "pool.blockSize.ipv4"} {
		if !strings.Contains(err.Error(), key+": ") {
			t.Errorf("%s is not complained of in %v", key, err)
		}
	}
}

// The page has a row for each key that is read, and each command.
func TestThePageHasAll(t *testing.T) {
	page, err := os.ReadFile("../../docs/cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("config.go")
	if err != nil {
		t.Fatal(err)
	}
	more, err := os.ReadFile("member.go")
	if err != nil {
		t.Fatal(err)
	}
	source = append(source, more...)
	found := regexp.MustCompile(`(?:String|Strings|Int|Bool|addresses|cidrs)\((?:o, |p, )?"([a-zA-Z]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(found) < 15 {
		t.Fatalf("only %d keys are found", len(found))
	}
	for _, key := range found {
		if name := key[1]; name != "ipv4" && name != "ipv6" && !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/cluster.md does not explain %s", name)
		}
	}
	for _, c := range command().Commands() {
		if !strings.Contains(string(page), "`"+c.Name()) {
			t.Errorf("docs/cluster.md does not explain %s", c.Name())
		}
	}
}

// An agent of a cluster that is nowhere says so, and nothing else.
func TestNoCluster(t *testing.T) {
	file := filepath.Join(t.TempDir(), "conf.json")
	for more, want := range map[string]string{"": "unable to load in-cluster configuration", `, "kubeconfig": "/none"`: "/none: no such file"} {
		if err := os.WriteFile(file, []byte(`{"network": "pods", "source": "kubernetes", "clusterCIDRs": ["10.0.0.0/8"]`+more+"}"), 0o600); err != nil {
			t.Fatal(err)
		}
		c := command()
		c.SetArgs([]string{"run", "--config", file})
		if err := c.Execute(); err == nil || !strings.Contains(err.Error(), want) || fault.Hint(err) == "" {
			t.Errorf("%s: %v, want %q and a remedy", more, err, want)
		}
	}
}

// What fails says what to do.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "conf.json")
	for text, want := range map[string]string{
		"": "no such file",
		`{"network": "pods", "source": "kubernetes", "clusterCIDRs": ["10.0.0.0/8"]}`:                       "this command is etcd's",
		`{"network": "pods", "endpoints": ["http://127.0.0.1:1"], "caFile": "/none"}`:                       "caFile: open /none",
		`{"network": "pods", "endpoints": ["http://127.0.0.1:1"], "certFile": "/none", "keyFile": "/none"}`: "certFile: open /none",
	} {
		if text != "" {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c := command()
		c.SetArgs([]string{"list", "--config", file})
		err := c.Execute()
		if err == nil || !strings.Contains(err.Error(), want) || fault.Hint(err) == "" {
			t.Errorf("%s: %v (%s), want %q and a remedy", text, err, fault.Hint(err), want)
		}
		_ = os.Remove(file)
	}
}

// A host in the pool would meet its own address on a container; and a number of routes that others have is none of ours.
func TestTakenAlready(t *testing.T) {
	const etcd = `"network": "pods", "node": "n1", "endpoints": ["http://192.0.2.1:2379"]`
	for text, want := range map[string]string{
		`"via": ["10.64.7.1"], "pool": {"cidrs": ["10.64.0.0/12"], "blockSize": {"ipv4": 26}}`:                                                         `via: "10.64.7.1": must not be in the pool`,
		`"via": ["192.0.2.1", "fd00::1"], "pool": {"cidrs": ["10.64.0.0/12", "fd00::/64"], "blockSize": {"ipv4": 26, "ipv6": 80}}`:                     `via: "fd00::1": must not be in the pool`,
		`"via": ["192.0.2.1"], "pool": {"cidrs": ["10.64.0.0/12"], "blockSize": {"ipv4": 26}}`:                                                         "",
		`"via": ["192.168.1.7"], "pool": {"shape": "flat", "subnets": ["192.168.1.0/24"], "cidrs": ["192.168.1.192/26"], "blockSize": {"ipv4": 30}}`:   "",
		`"via": ["192.168.1.200"], "pool": {"shape": "flat", "subnets": ["192.168.1.0/24"], "cidrs": ["192.168.1.192/26"], "blockSize": {"ipv4": 30}}`: `via: "192.168.1.200": must not`,
		`"routeProtocol": 9`:   "routeProtocol: 9: must be a number by which no other program's routes are known",
		`"routeProtocol": 16`:  "routeProtocol: 16: ",
		`"routeProtocol": 42`:  "routeProtocol: 42: ",
		`"routeProtocol": 116`: "routeProtocol: 116: ",
		`"routeProtocol": 186`: "routeProtocol: 186: ",
		`"routeProtocol": 119`: "",
		`"routeProtocol": 255`: "",
	} {
		_, err := parseText(t, "{"+etcd+", "+text+"}")
		if want == "" && err != nil || want != "" && (fault.Code(err) != fault.Config || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
