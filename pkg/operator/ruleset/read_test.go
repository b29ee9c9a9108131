package ruleset

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/trestle-cni/trestle/test/golden"
	"github.com/trestle-cni/trestle/test/nstest"
)

var update = golden.Update()

var must = nstest.Must

func listing(r *Ruleset) string {
	var b strings.Builder
	for _, t := range r.Tables {
		fmt.Fprintf(&b, "%s (%s)\n", t, t.Flavour)
		for _, s := range t.Sets {
			fmt.Fprintf(&b, "  set %s %s\n", s.Name, s.inline())
		}
		for _, c := range t.Chains {
			fmt.Fprintf(&b, "  %s %s %s %d %s %v\n", c.Name, c.Type, c.Hook, c.Priority, c.Policy, c.Devices)
			for _, rule := range c.Rules {
				fmt.Fprintf(&b, "    %s %v %q\n", rule.Text, rule.Unread, rule.Comment)
			}
		}
	}
	return b.String()
}

// TestRead gives the same rules to three tools and reads what the kernel then holds: each file is rules, and how they are read.
func TestRead(t *testing.T) {
	const file, updating = "testdata/listing.txtar", "RULESET_UPDATE"
	if *update {
		t.Setenv(updating, "1") // the child in its own namespaces has no flags
	}
	nstest.Run(t, func(t *testing.T) {
		archive, err := txtar.ParseFile(file)
		must(t, err)
		member := func(i int) string { return string(archive.Files[i].Data) }
		nstest.Program(t, member(0), "/usr/sbin/nft", "-f", "-")
		nstest.Program(t, member(1), "/usr/sbin/iptables-nft-restore")
		nstest.Program(t, member(1), "/usr/sbin/iptables-legacy-restore")
		r, err := Read(t.Context(), nil)
		must(t, err)
		if len(r.Gaps) > 0 {
			t.Errorf("gaps: %v", r.Gaps)
		}
		got := listing(r)
		if os.Getenv(updating) != "" {
			archive.Files[2].Data = []byte(got)
			must(t, os.WriteFile(file, txtar.Format(archive), 0o644))
		} else if diff := cmp.Diff(member(2), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	})
}

// TestReadNothing is silent in a namespace without rules, and makes none.
func TestReadNothing(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		for range 2 {
			r, err := Read(t.Context(), nil)
			must(t, err)
			if len(r.Tables) > 0 || len(r.Gaps) > 0 {
				t.Errorf("tables %s, gaps %v", listing(r), r.Gaps)
			}
		}
	})
}
