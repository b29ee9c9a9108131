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

// TestAdminChains gives the operator's chain all kinds of names. Under iptables ours takes what the reference takes, with the same rules, and refuses what that refuses; under
// nftables each of them is a chain that nft can write rules into, and the ruleset one that nft can read again.
func TestAdminChains(t *testing.T) {
	for name, written := range map[string]string{
		"CNI-ADMIN": "CNI-ADMIN", "My_rules.d/x": "My_rules.d/x", "1ADMIN": "_1ADMIN", "a:b": "_a_b", "mark": "_mark", "all": "_all", "pass": "_pass", "guests": "_guests",
		"ä": "__", "it's": "_it_s", "#x": "__x", "[0:0]": "__0_0_", "_X": "__X", "aaaaaaaaaaBBBBBBBBBBcccccccc": "aaaaaaaaaaBBBBBBBBBBcccccccc", "REJECT": "REJECT",
		"a b": "", "a\tb": "", "-X": "", "!X": "", "FORWARD": "", "RETURN": "", "CNI-FORWARD": "", "aaaaaaaaaaBBBBBBBBBBccccccccc": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				ip(t, "link add br2 type bridge")
				nstest.Namespace(t, "c2")
				ip(t, "link add veth2 master br2 type veth peer name eth0 netns c2")
				underNFTables(t, name, written)
				underIPTables(t, name)
			})
		})
	}
}

// adminConfig names the operator's chain.
func adminConfig(backend, name string) string {
	return firewallConfig(fmt.Sprintf(`"backend": %q, "iptablesAdminChainName": %q`, backend, name), bridgedBy("br2", 2))
}

func underNFTables(t *testing.T, name, written string) {
	t.Helper()
	config := adminConfig("nftables", name)
	if got := status(t, os.Getenv(pluginsVar), "ADD", config); got != (written != "") {
		t.Fatalf("nftables: ADD: %v", got)
	}
	if written == "" {
		return
	}
	if name == "CNI-ADMIN" { // as the plugin's page has it
		line := strings.Fields("nft add rule inet trestle_forward CNI-ADMIN ip saddr 192.0.2.7 drop")
		if out, err := exec.Command("/usr/sbin/"+line[0], line[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%v: %v: %s", line, err, out)
		}
	}
	for _, args := range []string{"insert rule inet trestle_forward " + written + " counter drop", "list ruleset"} {
		out, err := exec.Command("/usr/sbin/nft", strings.Fields(args)...).CombinedOutput()
		if err != nil {
			t.Errorf("nft %s: %v: %s", args, err, out)
		}
		again := exec.Command("/usr/sbin/nft", "-c", "-f", "-")
		again.Stdin = strings.NewReader("flush ruleset\n" + string(out))
		if said, err := again.CombinedOutput(); err != nil {
			t.Errorf("nft does not read what it wrote: %v: %s\n%s", err, said, out)
		}
		if args == "list ruleset" && !strings.Contains(string(out), "jump "+written+"\n") {
			t.Errorf("nothing leads to %s:\n%s", written, out)
		}
	}
	for _, verb := range []string{"CHECK", "DEL"} {
		if !status(t, os.Getenv(pluginsVar), verb, config) {
			t.Errorf("nftables: %s fails", verb)
		}
	}
	must(t, exec.Command("/usr/sbin/nft", "flush", "ruleset").Run())
}

func underIPTables(t *testing.T, name string) {
	t.Helper()
	config := adminConfig("iptables", name)
	theirs := status(t, reference.Newest.Dir, "ADD", config)
	want := filterTables(t)
	status(t, os.Getenv(pluginsVar), "DEL", config)
	must(t, exec.Command("/usr/sbin/nft", "flush", "ruleset").Run())
	if ours := status(t, os.Getenv(pluginsVar), "ADD", config); ours != theirs {
		t.Fatalf("iptables: ADD: ours %v, the reference's %v", ours, theirs)
	}
	if !theirs {
		want = "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n"
		want += want
	} else if !status(t, os.Getenv(pluginsVar), "CHECK", config) {
		t.Error("iptables: CHECK fails")
	}
	if diff := cmp.Diff(want, filterTables(t)); diff != "" {
		t.Errorf("iptables (-reference +ours):\n%s", diff)
	}
	if !status(t, os.Getenv(pluginsVar), "DEL", config) {
		t.Error("iptables: DEL fails")
	}
}

// status calls the plugin firewall of the directory, and says whether it succeeds.
func status(t *testing.T, dir, verb, config string) bool {
	t.Helper()
	cmd := exec.Command(filepath.Join(dir, "firewall"))
	cmd.Stdin = strings.NewReader(config)
	cmd.Env = []string{"CNI_COMMAND=" + verb, "CNI_CONTAINERID=c2", "CNI_NETNS=/run/netns/c2", "CNI_IFNAME=eth0", "CNI_PATH=" + dir, "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	out, err := cmd.Output()
	if err != nil {
		t.Logf("%s of %s: %s", verb, dir, out)
	}
	return err == nil
}
