package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// TestTuningInterchange lets each suite check and undo what the other one has tuned: the interface is as it was, the file of what was before reads the same, and
// goes.
func TestTuningInterchange(t *testing.T) {
	const file = "/run/cni/tuning/c1_eth0.json"
	for _, s := range suites() {
		for name, keys := range map[string]string{
			"one":  `"mtu": 1400`,
			"most": `"mac": "0a:58:0a:01:00:aa", "mtu": 1400, "promisc": true, "allmulti": true, "sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1"}`,
			"off":  `"allmulti": false`,
			"args": `"mtu": 1300, "sysctl": {}, "args": {"cni": {"mtu": 1400, "mac": "0a:58:0a:01:00:aa"}}`,
		} {
			t.Run(filepath.Base(s.dir)+"/"+name, func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) {
					nstest.Namespace(t, "c1")
					result := succeed(t, "ADD", "bridge", "c1", network(`"cniVersion": "1.0.0", `+hostLocal(subnet))).Out
					config := `{"cniVersion": "1.0.0", "name": "net", "type": "tuning", ` + keys + `, "prevResult": ` + string(result) + `}`
					must(t, os.MkdirAll(filepath.Dir(file), 0o700))
					before := snapshot.Take(t, netnsDir+"c1")

					ours, theirs := succeed(t, "ADD", "tuning", "c1", config).Out, ""
					written, err := os.ReadFile(file)
					must(t, err)
					if !s.blind || !strings.Contains(keys, "IFNAME") { // of which 1.1.1 knows nothing on CHECK
						s.call(t, "CHECK", "tuning", "c1", config)
					}
					s.call(t, "DEL", "tuning", "c1", config)
					holdUntuned(t, before, keys)

					theirs = string(s.call(t, "ADD", "tuning", "c1", config))
					reads, err := os.ReadFile(file)
					must(t, err)
					if !strings.HasPrefix(string(written), strings.TrimSuffix(string(reads), "\n}")) {
						t.Errorf("the file of ours:\n%s\ndoes not begin as theirs:\n%s", written, reads)
					}
					if !sameJSON(t, ours, []byte(strings.Replace(theirs, `"dns": {}`, `"cniVersion": "1.0.0"`, 1))) { // an empty one is none
						t.Errorf("result of ours:\n%s\nof theirs:\n%s", ours, theirs)
					}
					succeed(t, "CHECK", "tuning", "c1", config)
					succeed(t, "DEL", "tuning", "c1", config)
					holdUntuned(t, before, keys)
				})
			})
		}
	}
}

// holdUntuned wants all as it was, but for settings, which the reference does not give back.
func holdUntuned(t *testing.T, before, keys string) {
	t.Helper()
	if strings.Contains(keys, "arp_filter") {
		must(t, nstest.In(netnsDir+"c1", func() error { return os.WriteFile("/proc/sys/net/ipv4/conf/eth0/arp_filter", []byte("0"), 0o644) }))
	}
	if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1")); diff != "" {
		t.Errorf("the state is not as it was:\n%s", diff)
	}
}

// TestAllowList wants what the operator's list does not have refused by ADD and STATUS, and what was made before checked and undone all the same.
func TestAllowList(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		must(t, unix.Mount("tmpfs", "/etc", "tmpfs", 0, ""))
		must(t, os.MkdirAll("/etc/cni/tuning", 0o755))
		nstest.Namespace(t, "c1")
		prev := `, "prevResult": {"cniVersion": "1.1.0", "interfaces": [{"name": "lo", "sandbox": "/run/netns/c1"}]}}`
		config := `{"cniVersion": "1.1.0", "name": "net", "type": "tuning", "sysctl": {"net.core.somaxconn": "500", "net/ipv4/conf/IFNAME/arp_filter": "1"}` + prev
		for list, refused := range map[string]string{
			"":                           "",
			"\n \n":                      "net.core.somaxconn: not allowed by /etc/cni/tuning/allowlist.conf: []",
			"core\narp_filter\n":         "",
			"^net.core.somaxconn$":       "net/ipv4/conf/IFNAME/arp_filter: not allowed by /etc/cni/tuning/allowlist.conf: [^net.core.somaxconn$]",
			"core\neth0":                 "net/ipv4/conf/IFNAME/arp_filter: not allowed", // as it is written
			"core\nIFNAME/[a-z_]+\n(":    "allowlist.conf:3: error parsing regexp",
			"  core  \n\n net.ipv4\r\n.": "",
		} {
			t.Run(list, func(t *testing.T) { holdAllowed(t, config, list, refused) })
		}
	})
}

func holdAllowed(t *testing.T, config, list, refused string) {
	const file = "/etc/cni/tuning/allowlist.conf"
	before := snapshot.Take(t, netnsDir+"c1")
	must(t, os.RemoveAll(file))
	succeed(t, "ADD", "tuning", "c1", config, "CNI_IFNAME=lo")
	succeed(t, "DEL", "tuning", "c1", config, "CNI_IFNAME=lo")
	if list != "" {
		must(t, os.WriteFile(file, []byte(list), 0o644))
	}
	for verb, code := range map[string]uint{"ADD": fault.Config, "STATUS": fault.NoService} {
		r, err := invoke(verb, "tuning", "c1", config, "CNI_IFNAME=lo")
		must(t, err)
		if is := r.Status != 0; is != (refused != "") || !strings.Contains(r.Msg, refused) || is && r.Code != code {
			t.Errorf("%s: code %d: %s; want %q", verb, r.Code, r.Msg, refused)
		}
	}
	succeed(t, "DEL", "tuning", "c1", config, "CNI_IFNAME=lo")
	if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1")); diff != "" {
		t.Errorf("the state is not as it was:\n%s", diff)
	}
	must(t, os.RemoveAll(file))
	succeed(t, "ADD", "tuning", "c1", config, "CNI_IFNAME=lo")
	must(t, os.WriteFile(file, []byte("nothing"), 0o644))
	succeed(t, "CHECK", "tuning", "c1", config, "CNI_IFNAME=lo")
	succeed(t, "DEL", "tuning", "c1", config, "CNI_IFNAME=lo")
}

// tuned are the places where a wish may stand, alone and against each other: CNI_ARGS, and the keys.
var tuned = []struct{ args, keys string }{
	{"", `"mac": "0a:58:0a:01:00:01"`},
	{"MAC=0a:58:0a:01:00:02", `"mac": "0a:58:0a:01:00:01"`},
	{"MAC=0a:58:0a:01:00:02", `"mac": "0a:58:0a:01:00:01", "runtimeConfig": {"mac": "0a:58:0a:01:00:03"}`},
	{"MAC=0a:58:0a:01:00:02", `"mac": "0a:58:0a:01:00:01", "runtimeConfig": {"mac": "0a:58:0a:01:00:03"}, "args": {"cni": {"mac": "0a:58:0a:01:00:04"}}`},
	{"MAC=0a:58:0a:01:00:02", `"mtu": 1400`},
	{"IgnoreUnknown=1;WHAT=ever", `"mtu": 1400, "args": {"cni": {"mtu": 1300, "txQLen": 99}}`},
	{"", `"promisc": true, "allmulti": false, "txQLen": 11, "args": {"cni": {"allmulti": true, "txQLen": 22}}`},
	{"", `"promisc": false, "args": {"cni": {"promisc": true}}`},
	{"", `"sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1", "net/core/somaxconn": "300"}, "args": {"cni": {"sysctl": {"net/core/somaxconn": "400"}}}`},
	{"", `"sysctl": {"net/ipv4/conf/eth0/arp_filter": "1"}, "args": {"cni": {"mac": "0a:58:0a:01:00:04", "sysctl": {"net.ipv4.conf.eth0.arp_ignore": "2"}}}`},
}

// TestTuningSources wants the same of an interface as the reference makes of it, wherever it is asked for, and CHECK content.
func TestTuningSources(t *testing.T) {
	newest := suites()[1]
	for _, c := range tuned {
		t.Run(c.args+" "+c.keys, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				var states, results []string
				for _, dir := range []string{newest.dir, os.Getenv(pluginsVar)} {
					nstest.Namespace(t, "c1")
					must(t, nstest.In(netnsDir+"c1", func() error {
						return netlink.LinkAdd(&netlink.Veth{PeerName: "other", LinkAttrs: netlink.LinkAttrs{Name: "eth0", HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}, TxQLen: 1000}})
					}))
					config := `{"cniVersion": "1.0.0", "name": "net", "type": "tuning", ` + c.keys +
						`, "prevResult": {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "mac": "02:00:00:00:00:01", "sandbox": "/run/netns/c1"}]}}`
					result := calledWith(t, dir, "ADD", c.args, config)
					states, results = append(states, tunedState(t)), append(results, result)
					calledWith(t, dir, "CHECK", c.args, config)
					calledWith(t, os.Getenv(pluginsVar), "CHECK", c.args, config)
					calledWith(t, dir, "DEL", c.args, config)
					nstest.Remove(t, netnsDir+"c1")
				}
				if states[0] != states[1] {
					t.Errorf("the reference makes of it\n%s\nours\n%s", states[0], states[1])
				}
				if !sameJSON(t, []byte(results[1]), []byte(strings.Replace(results[0], `"dns": {}`, `"cniVersion": "1.0.0"`, 1))) {
					t.Errorf("result of the reference\n%s\nof ours\n%s", results[0], results[1])
				}
			})
		})
	}
}

// calledWith calls tuning of the directory with CNI_ARGS.
func calledWith(t *testing.T, dir, verb, args, config string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(dir, "tuning"))
	cmd.Env = []string{"CNI_COMMAND=" + verb, "CNI_CONTAINERID=c1", "CNI_NETNS=" + netnsDir + "c1", "CNI_IFNAME=eth0", "CNI_PATH=" + dir, "CNI_ARGS=" + args}
	cmd.Stdin = strings.NewReader(config)
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s by %s: %v: %s", verb, dir, err, out)
	}
	return string(out)
}

// tunedState is what tuning may change of the container.
func tunedState(t *testing.T) (state string) {
	t.Helper()
	must(t, nstest.In(netnsDir+"c1", func() error {
		out, err := exec.Command("/usr/sbin/ip", "-details", "link", "show", "dev", "eth0").Output()
		state = strings.SplitN(string(out), ": ", 2)[1]
		for _, key := range []string{"core/somaxconn", "ipv4/conf/eth0/arp_filter", "ipv4/conf/eth0/arp_ignore"} {
			value, err := os.ReadFile("/proc/sys/net/" + key)
			must(t, err)
			state += key + " " + string(value)
		}
		return err
	}))
	return state
}

// TestTuningMindsNoOthers wants CHECK not to mind what somebody else has asked of an interface, nor DEL to take it from him.
func TestTuningMindsNoOthers(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		nstest.Namespace(t, "c1")
		must(t, nstest.In(netnsDir+"c1", func() error { return netlink.LinkAdd(&netlink.Ifb{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}}) }))
		config := `{"cniVersion": "1.0.0", "name": "net", "type": "tuning", "mtu": 1400, "prevResult": {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "sandbox": "/run/netns/c1"}]}}`
		succeed(t, "ADD", "tuning", "c1", config)
		must(t, exec.Command("/usr/sbin/ip", "-n", "c1", "link", "set", "eth0", "promisc", "on", "allmulticast", "on", "txqueuelen", "77").Run())
		succeed(t, "CHECK", "tuning", "c1", config)
		succeed(t, "DEL", "tuning", "c1", config)
		out, err := exec.Command("/usr/sbin/ip", "-n", "c1", "link", "show", "eth0").Output()
		must(t, err)
		for _, kept := range []string{"PROMISC", "ALLMULTI", "qlen 77", "mtu 1500"} {
			if !strings.Contains(string(out), kept) {
				t.Errorf("%s: not there after DEL:\n%s", kept, out)
			}
		}
	})
}
