package ipam

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// What the network's configuration has become is no matter: it is looked for where it may be, and a place that cannot be is none.
func TestLetGo(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		one, other := Holder{"ctr1", "eth0"}, Holder{"ctr2", "eth0"}
		for _, dir := range []string{DefaultDir, "/run/named", "/run/before"} {
			s, err := Open(t.Context(), dir, "net", true)
			if err != nil {
				t.Fatal(err)
			}
			Remember(dir, "net")
			for addr, h := range map[string]Holder{"10.1.0.2": one, "10.1.0.3": other} {
				if err := s.Reserve(netip.MustParseAddr(addr), Attachment{Holder: h}); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		for _, named := range []string{"/dev/null", "/dev/null/x", "/run/" + strings.Repeat("x", 300), "a\x00b", ""} {
			released, err := LetGo(t.Context(), Dirs("net", named), "net", Holder{"ctr3", "eth0"}, Policy{})
			if err != nil || len(released) > 0 {
				t.Errorf("%.20q: %v, %v", named, released, err)
			}
		}
		if released, err := LetGo(t.Context(), Dirs("net", ""), "net", one, Policy{}); err != nil || len(released) != 3 {
			t.Errorf("released %v, %v", released, err)
		}
		for _, dir := range []string{DefaultDir, "/run/named", "/run/before"} {
			_, gone := os.Stat(filepath.Join(dir, "net", "10.1.0.2"))
			_, stays := os.Stat(filepath.Join(dir, "net", "10.1.0.3"))
			if !os.IsNotExist(gone) || stays != nil {
				t.Errorf("%s: %v, %v", dir, gone, stays)
			}
		}
		keeps := func(h Holder) bool { return h != other }
		if err := Collect(t.Context(), Dirs("net", "/run/named"), "net", keeps, Policy{}); err != nil {
			t.Error(err)
		}
		if released, err := LetGo(t.Context(), Dirs("net", ""), "net", other, Policy{}); err != nil || len(released) != 0 {
			t.Errorf("after a GC: %v, %v", released, err)
		}
	})
}

// A place is remembered once, and only where it is not the default.
func TestDirs(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		for _, dir := range []string{"/run/a", DefaultDir, "/run/a", "/run/b", "/run/with\nbreak"} {
			if err := os.MkdirAll(filepath.Join(dir, "net"), 0o755); err != nil {
				t.Fatal(err)
			}
			Remember(dir, "net")
		}
		Remember("/run/gone", "net")
		if got := strings.Join(Dirs("net", "/run/c"), " "); got != "/run/a /run/b /run/c "+DefaultDir {
			t.Errorf("%s", got)
		}
		if got := strings.Join(Dirs("other", ""), " "); got != DefaultDir {
			t.Errorf("another network's: %s", got)
		}
	})
}
