package hosts

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// TestAgentHeals has somebody flush all rules of a host, again and again: its agent makes them again, as often, and says who it was. What became of the bridge
// the plugins alone can mend, which is said.
func TestAgentHeals(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		w := newWorld(t, with(three, "heal", true))
		h := w.host("h1", "sw0", "", []string{"192.0.2.1/24", "2001:db8::1/64"}, "h1-a", "h1-b")
		w.serve("outside")
		h.node("init")
		h.start()
		pods := []pod{h.first("h1-a"), h.add("h1-b")}
		rules := func() string { return sorted(h.do("nft", "-s", "list", "ruleset")) }
		before, said := rules(), len(h.heard(0))
		if strings.Count(before, "pods/") < len(pods) {
			t.Fatalf("no rules:\n%s", before)
		}
		for range 3 {
			h.do("nft", "flush", "ruleset")
			w.until("all is there again", func() error {
				if there := rules(); there != before {
					return errors.New(there)
				}
				return h.saidAfter(&said, "had removed tables")
			})
		}
		must(t, w.mesh(pods...))
		h.do("ip", "link", "set", "pods0", "down")
		w.until("it says what it does not make", func() error { return h.saidAfter(&said, "what plugins alone can make is not looked at") })
	})
}

// sorted are the words of a ruleset: elements come back in another order.
func sorted(text string) string {
	words := strings.Fields(strings.ReplaceAll(text, ",", " "))
	slices.Sort(words)
	return strings.Join(words, " ")
}
