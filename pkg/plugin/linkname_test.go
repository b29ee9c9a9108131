package plugin

import (
	"context"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// An ADD refuses what the kernel changes or refuses, and what cannot be read back; a DEL of the same goes on, as does a CHECK of what the reference may
// have made.
func TestLinkNames(t *testing.T) {
	for name, c := range map[string]struct{ add, check bool }{
		"eth0": {true, true}, "eth-0_x.y+z@é": {true, true}, "fifteen-bytes-1": {true, true},
		"eth\x7f": {false, true}, "\x1b[31m": {false, true}, "e\x01": {false, true}, "eth%d": {false, true}, "%": {false, true},
		"\xc3\xa0": {false, true}, "e\xa0": {false, true}, "\xff": {false, true}, "all": {false, true}, "default": {false, true},
		"e\tx": {}, "e\u0085": {}, "e\u2003": {}, "e\vx": {}, "a/b": {}, "a:b": {}, "..": {}, "sixteen-bytes-12": {},
	} {
		for verb, want := range map[string]bool{"ADD": c.add, "CHECK": c.check, "DEL": true} {
			called := false
			a := call(t, with("CNI_COMMAND="+verb, "CNI_IFNAME="+name), config, func(context.Context, *Request) error { called = true; return nil })
			if called != want {
				t.Errorf("%s %q: called %v, want %v: %s", verb, name, called, want, a.out)
			}
			if !want && a.fault(t).Code != fault.Environment {
				t.Errorf("%s %q: %s", verb, name, a.out)
			}
		}
		if ValidLinkName(name) != c.add {
			t.Errorf("%q: valid %v", name, !c.add)
		}
	}
}

// What no ADD takes for a container is no reason for a DEL to fail for ever.
func TestDelOfOddNames(t *testing.T) {
	for _, id := range []string{"../x", ".x", "a b", strings.Repeat("c", 5000)} {
		called := false
		a := call(t, with("CNI_COMMAND=DEL", "CNI_CONTAINERID="+id), config, func(context.Context, *Request) error { called = true; return nil })
		if !called || a.status != 0 {
			t.Errorf("%.40q: %s", id, a.out)
		}
	}
}
