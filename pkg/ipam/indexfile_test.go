package ipam

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// believed says whether the next command will believe the index.
func believed(t *testing.T, dir string) bool {
	t.Helper()
	s := open(t, dir)
	defer s.Close()
	file, x := s.openIndex()
	if file != nil {
		must(t, file.Close())
	}
	return x != nil
}

// An index is believed after a command of ours, and after nothing else: also when another program writes in the same instant.
func TestIndexIsBelieved(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		overlay := t.TempDir()
		mount(t, "tmpfs", overlay, "")
		for _, dir := range []string{"lower", "upper", "work", "merged"} {
			must(t, os.Mkdir(filepath.Join(overlay, dir), 0o755))
		}
		merged := filepath.Join(overlay, "merged")
		mount(t, "overlay", merged, fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", overlay))
		for _, dir := range []string{t.TempDir(), overlay, merged} {
			for i := range 50 {
				believeRound(t, dir, i)
			}
		}
	})
}

func believeRound(t *testing.T, dir string, i int) {
	t.Helper()
	if i > 0 && believed(t, dir) {
		t.Fatalf("%s, round %d: the index is believed after another program's write", dir, i)
	}
	s := open(t, dir)
	_, err := s.Allocate(0, Set{Whole(netip.MustParsePrefix("10.1.0.0/24"))}, netip.Addr{}, Attachment{Holder: Holder{fmt.Sprint("ctr", i), "eth0"}})
	must(t, err)
	must(t, s.Close())
	for range 2 { // to look changes nothing
		if !believed(t, dir) {
			t.Fatalf("%s, round %d: the index is not believed", dir, i)
		}
	}
	s = open(t, dir)
	must(t, s.Close())
	name := filepath.Join(dir, "net", fmt.Sprintf("10.1.1.%d", i%2))
	if i%4 < 2 {
		must(t, os.WriteFile(name, []byte("theirs\r\neth0"), 0o600))
	} else {
		must(t, os.Remove(name))
	}
}

// A command that ends while its index is in doubt leaves one that is not believed, and all that it did.
func TestEndInDoubt(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	must(t, s.Reserve(addr("10.1.0.2"), Attachment{Holder: Holder{"ctr1", "eth0"}}))
	s.forget()
	must(t, s.Close())
	if believed(t, dir) {
		t.Error("the index is believed")
	}
	s = open(t, dir)
	if own, _, err := s.Held(Holder{"ctr1", "eth0"}); err != nil || len(own) != 1 {
		t.Errorf("held: %v, %v", own, err)
	}
}
