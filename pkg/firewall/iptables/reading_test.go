package iptables

import (
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// TestReading asks that a table is printed again exactly where somebody changed something, whoever it was.
func TestReading(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		tool, err := open().find(t.Context(), families()[0], onNFT)
		must(t, err)
		read := func() *ruleset {
			t.Helper()
			rules, err := tool.read(t.Context(), "nat")
			must(t, err)
			return rules
		}
		read() // which makes the table
		before := read()
		if read() != before {
			t.Error("read again though nothing had changed")
		}
		const rule = "-s 10.0.0.1/32 -j ACCEPT"
		for _, change := range []func(){
			func() { run(t, "iptables-nft", "-t", "nat", "-A", "POSTROUTING", "-s", "10.0.0.1", "-j", "ACCEPT") },
			func() { run(t, "nft", "flush", "chain", "ip", "nat", "POSTROUTING") },
			func() { must(t, tool.write(t.Context(), nil, lines{"nat", []string{"-A POSTROUTING " + rule}})) },
			func() { run(t, "nft", "flush", "ruleset") },
		} {
			had := read().contains(postrouting, rule)
			change()
			if read().contains(postrouting, rule) == had {
				t.Errorf("read as before though it had changed: rule there %v", had)
			}
		}
	})
}
