package rtnl

import (
	"slices"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// Rules are told in the words in which they are written, those that throw away, too.
func TestRules(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		want := []string{"from all lookup local", "from 10.1.0.0/24 blackhole", "not from all to 9.9.9.9 iif lo unreachable",
			"from all fwmark 0x1/0xf0 prohibit", "from fd00::1 lookup 77", "from all lookup main"}
		script := `ip rule add pref 1 from 10.1.0.0/24 blackhole; ip rule add pref 2 not to 9.9.9.9 iif lo unreachable
ip rule add pref 3 fwmark 1/0xf0 prohibit; ip -6 rule add pref 4 from fd00::1 lookup 77`
		nstest.Program(t, "", "/bin/sh", "-ec", script)
		conn, err := Open()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		rules, err := conn.Rules()
		var got []string
		for _, r := range rules {
			got = append(got, r.String())
		}
		for _, text := range want {
			if !slices.Contains(got, text) {
				t.Errorf("%q is not among %q, %v", text, got, err)
			}
		}
	})
}
