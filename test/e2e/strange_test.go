package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unicode"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/test/nstest"
)

// strange are names that would steer a terminal, or turn the writing round: escapes, bytes of C1, marks of direction, what is not printed, what is no UTF-8.
var strange = []string{"\x1b]0;x\x07", "a\u202eb", "\u2066c\u2069", "\u200f\u061c", "\x9b31m", "\xff\xfe", "\u2028\ufeff", "\U000e0001", "<&>\"'"}

// TestStrangeNames has them wherever somebody else gives a name that the tool shows: links and their aliases, named namespaces, tables, chains and comments
// of a packet filter, pods, networks, files. No command writes one of them as it is, and what is JSON says the same.
func TestStrangeNames(t *testing.T) {
	t.Parallel()
	for i, name := range strange {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				s := settle(t, 2, "udp")
				s.bears(name)
				for _, words := range []string{"ls", "ls --wide", "show c0", "show net", "graph", "graph --format dot", "graph --format mermaid", "graph --format svg",
					"doctor", "gc", "repair", "context c0", "trace c0 c1:7", "trace c0 192.0.2.2", "version"} {
					s.plainly(words)
					if !strings.Contains(words, "graph") && words != "ls --wide" {
						s.plainly(words + " --json")
					}
				}
				s.plainly("graph --format json")
			})
		})
	}
}

// bears gives the name to what may have it. What a kernel refuses, nobody can have.
func (s *settled) bears(name string) {
	s.Helper()
	filter := func() error {
		conn, err := nftables.New()
		must(s.T, err)
		table := conn.AddTable(&nftables.Table{Name: name, Family: nftables.TableFamilyINet})
		drop := nftables.ChainPolicyDrop
		chain := conn.AddChain(&nftables.Chain{Name: name, Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward,
			Priority: nftables.ChainPriorityFilter, Policy: &drop})
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, UserData: userdata.AppendString(nil, userdata.TypeComment, name)})
		return conn.Flush()
	}
	links := func() error {
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}); err != nil {
			return nil
		}
		l, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetAlias(l, name)
		}
		return err
	}
	for _, f := range []func() error{filter, links} {
		must(s.T, in("c0", f))
		must(s.T, f())
	}
	nstest.Namespace(s, name)
	const results = "/var/lib/cni/results/"
	text, err := os.ReadFile(results + "net-c0-eth0")
	must(s.T, err)
	var entry map[string]any
	must(s.T, json.Unmarshal(text, &entry))
	entry["cniArgs"] = [][2]string{{"K8S_POD_NAMESPACE", name}, {"K8S_POD_NAME", name}}
	text, err = json.Marshal(entry)
	must(s.T, err)
	must(s.T, os.WriteFile(results+"net-c0-eth0", text, 0o600))
	entry["networkName"], entry["containerId"], entry["ifName"] = name, name, name
	text, err = json.Marshal(entry)
	must(s.T, err)
	must(s.T, os.WriteFile(results+name, text, 0o600))
	must(s.T, os.WriteFile(results+"torn"+name, text[:20], 0o600))
	must(s.T, os.WriteFile("/var/lib/cni/networks/net/10.1.0.9", []byte(name+"\r\n"+name), 0o600))
	must(s.T, os.MkdirAll("/etc/cni/net.d", 0o755))
	quoted, err := json.Marshal(name)
	must(s.T, err)
	must(s.T, os.WriteFile("/etc/cni/net.d/9"+name+".conflist", fmt.Appendf(nil, `{"cniVersion": "1.0.0", "name": %[1]s, "plugins": [{"type": %[1]s, "bridge": %[1]s}]}`, quoted), 0o644))
}

// plainly wants what a command prints to be printable, on both of its outputs, and JSON to be JSON.
func (s *settled) plainly(words string) {
	s.Helper()
	var out, complaints strings.Builder
	cmd := exec.CommandContext(s.Context(), os.Getenv(pluginsVar)+"/trestle", strings.Fields(words)...)
	cmd.Stdout, cmd.Stderr = &out, &complaints
	_ = cmd.Run() // its status is an answer
	for _, text := range []string{out.String(), complaints.String()} {
		for i, r := range text {
			if r != '\n' && !unicode.IsPrint(r) || r == unicode.ReplacementChar && !strings.HasPrefix(text[i:], "\ufffd") {
				s.Errorf("trestle %s: prints %q as it is: %.300q", words, r, text[max(0, i-100):])
				return
			}
		}
	}
	if strings.Contains(words, "json") && out.Len() > 0 && !json.Valid([]byte(out.String())) {
		s.Errorf("trestle %s: no JSON: %s%s", words, out.String(), complaints.String())
	}
}
