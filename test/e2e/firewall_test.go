package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/reference"
)

// bridgedBy is what bridge answers for a container of the number on the bridge.
func bridgedBy(bridge string, number int) string {
	return fmt.Sprintf(`{"cniVersion": "1.0.0", "interfaces": [{"name": "%s"}, {"name": "veth%d"}, {"name": "eth0", "sandbox": "/run/netns/c%[2]d"}],
		"ips": [{"address": "10.1.0.%[2]d/24", "interface": 2}, {"address": "fd00::%[2]d/64", "interface": 2}]}`, bridge, number)
}

func firewallConfig(keys, result string) string {
	return fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "net", "type": "firewall", %s, "prevResult": %s}`, keys, result)
}

// TestFirewallRulesAreTheReferences adds the same containers by the reference and by ours, and wants the same listings, in both families, in the same
// order. What either made the other deletes.
func TestFirewallRulesAreTheReferences(t *testing.T) {
	for name, policies := range map[string][]string{
		"open": {"open", "open"}, "same-bridge": {"same-bridge", "same-bridge"}, "isolated": {"isolated", "isolated"},
		"mixed": {"open", "isolated"}, "both": {"same-bridge", "isolated"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				for i := range policies {
					ip(t, fmt.Sprintf("link add br%d type bridge", i))
					nstest.Namespace(t, fmt.Sprint("c", i+2))
					ip(t, fmt.Sprintf("link add veth%d master br%d type veth peer name eth0 netns c%[1]d", i+2, i))
				}
				for _, build := range reference.Builds(t) {
					if build == reference.Debian && name != "open" { // 1.1.1 knows no policies
						continue
					}
					theirs, left := listings(t, build.Dir, os.Getenv(pluginsVar), policies)
					ours, rest := listings(t, os.Getenv(pluginsVar), build.Dir, policies)
					if diff := cmp.Diff(theirs, ours); diff != "" {
						t.Errorf("rules (-%s +ours):\n%s", build.Version, diff)
					}
					if strings.Contains(left+rest, "10.1.0.") || strings.Contains(left+rest, "fd00::") {
						t.Errorf("left by ours of %[2]s's:\n%[1]s\nleft by %[2]s of ours:\n%[3]s", left, build.Version, rest)
					}
				}
			})
		})
	}
}

// listings adds two containers on two bridges by the plugin of one directory, deletes them by that of another, and returns the tables filter.
func listings(t *testing.T, adds, deletes string, policies []string) (made, left string) {
	t.Helper()
	for _, tool := range []string{"iptables", "ip6tables"} {
		must(t, exec.Command("/usr/sbin/"+tool, "-F").Run())
		must(t, exec.Command("/usr/sbin/"+tool, "-X").Run())
	}
	each := func(dir, verb string) {
		for i, policy := range policies {
			config := firewallConfig(`"backend": "iptables", "ingressPolicy": "`+policy+`"`, bridgedBy(fmt.Sprint("br", i), i+2))
			firewallCall(t, dir, verb, fmt.Sprint("c", i+2), config)
		}
	}
	each(adds, "ADD")
	made = filterTables(t)
	each(deletes, "DEL")
	left = filterTables(t)
	each(adds, "DEL") // what it has noted elsewhere
	return made, left
}

func filterTables(t *testing.T) (text string) {
	t.Helper()
	for _, tool := range []string{"iptables", "ip6tables"} {
		out, err := exec.Command("/usr/sbin/"+tool, "-S").Output()
		must(t, err)
		text += string(out)
	}
	return text
}

func ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

// firewallCall calls the plugin firewall of the directory.
func firewallCall(t *testing.T, dir, verb, container, config string) {
	t.Helper()
	callOf(t, dir, "firewall", verb, container, config)
}

// callOf calls a plugin of the directory, which finds the address plugins there, and returns what it printed.
func callOf(t *testing.T, dir, plugin, verb, container, config string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(dir, plugin))
	cmd.Stdin = strings.NewReader(config)
	cmd.Env = []string{"CNI_COMMAND=" + verb, "CNI_CONTAINERID=" + container, "CNI_NETNS=/run/netns/" + container, "CNI_IFNAME=eth0",
		"CNI_PATH=" + dir, "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s by %s: %v: %s", verb, dir, err, out)
	}
	return string(out)
}
