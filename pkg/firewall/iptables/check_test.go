package iptables

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
)

// TestRuleByRule deletes each rule by itself, and wants CHECK to miss it, and the next Hold to bring it back.
func TestRuleByRule(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		f, o := open(), owner.Of("testnet", "ctr1", "eth0")
		claims := []firewall.Claim{dual(), {Role: firewall.Publish, Ports: append(both(unix.IPPROTO_TCP, 8080, "80"), both(unix.IPPROTO_UDP, 8053, "53")...)}}
		hold := func() {
			for _, c := range claims {
				_, err := f.Hold(t.Context(), o, c, nil)
				must(t, err)
			}
		}
		hold()
		whole := everyRule(t)
		if len(whole) < 40 {
			t.Fatalf("too few to be all:\n%s", whole)
		}
		for _, r := range whole {
			restore(t, r.program, "*"+r.table+"\n-D "+r.text+"\nCOMMIT\n")
			var said []string
			for _, c := range claims {
				if err := f.Held(t.Context(), o, c); fault.Code(err) == fault.Drift {
					said = append(said, err.Error())
				} else {
					must(t, err)
				}
			}
			if len(said) == 0 {
				t.Errorf("%s -t %s: nobody misses the rule %s", r.program, r.table, r.text)
			}
			hold()
			for _, c := range claims {
				must(t, f.Held(t.Context(), o, c))
			}
		}
	})
}

// TestForeignRules adds rules to the chains that are ours alone, where they would change what happens to packets.
func TestForeignRules(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		f, o := open(), owner.Of("testnet", "ctr1", "eth0")
		n, _ := namesOf(o)
		claims := map[string]firewall.Claim{n.masqChain(): dual(), n.dnatChain(): {Role: firewall.Publish, Ports: both(unix.IPPROTO_TCP, 8080, "80")}}
		for chain, c := range claims {
			_, err := f.Hold(t.Context(), o, c, nil)
			must(t, err)
			run(t, "iptables", "-t", "nat", "-I", chain, "-j", "RETURN")
			if err := f.Held(t.Context(), o, c); fault.Code(err) != fault.Drift || !strings.Contains(err.Error(), chain) {
				t.Errorf("chain %s with a rule that is not ours: %v", chain, err)
			}
			_, err = f.Hold(t.Context(), o, c, nil)
			must(t, err)
			must(t, f.Held(t.Context(), o, c))
		}
		run(t, "iptables", "-t", "raw", "-I", guard, "-j", "RETURN")
		if err := f.Grounded(t.Context()); fault.Code(err) != fault.Drift {
			t.Errorf("a guard that lets pass: %v", err)
		}
	})
}

// TestWithoutTool wants STATUS to name the program that is missing, in a folder that hides it.
func TestWithoutTool(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		for _, dir := range []string{"/usr/sbin", "/sbin"} {
			must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
		}
		err := open().Ready(t.Context())
		if fault.Code(err) != fault.NoService || fault.Hint(err) == "" || !strings.Contains(fmt.Sprint(err), "iptables: not found") {
			t.Errorf("without iptables: %v", err)
		}
		_, err = open().Hold(t.Context(), owner.Of("testnet", "ctr1", "eth0"), dual(), nil)
		if fault.Code(err) != fault.Unsupported || !strings.Contains(fmt.Sprint(err), "iptables: not found") {
			t.Errorf("without iptables: %v", err)
		}
	})
}

// kept is one rule of a table.
type kept struct{ program, table, text string }

// everyRule lists the rules of both tables and families.
func everyRule(t *testing.T) (list []kept) {
	t.Helper()
	for _, program := range []string{"iptables", "ip6tables"} {
		for _, table := range []string{"raw", "nat"} {
			for line := range strings.Lines(run(t, program+"-save", "-t", table)) {
				if text, ok := strings.CutPrefix(strings.TrimSpace(line), "-A "); ok {
					list = append(list, kept{program, table, text})
				}
			}
		}
	}
	return list
}

func restore(t *testing.T, program, text string) {
	t.Helper()
	nstest.Program(t, text, program+"-restore", "--noflush")
}
