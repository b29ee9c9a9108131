package hostlocal

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/test/reference"
)

// Hundreds of processes at once, every other one the reference's: nobody shares an address, nobody goes without, and all of it is
// gone when all have left.
func TestCrowd(t *testing.T) {
	reference.Newest.Need(t)
	self, err := os.Executable()
	must(t, err)
	dir, size := t.TempDir(), 200
	config := network("1.0.0", `"ranges": [[{"subnet": "10.1.0.0/22"}], [{"subnet": "fd00::/64"}]]`)
	all := func(command string, each func(i int, a answer)) {
		for i, a := range crowd(t, call{command: command, config: config, dir: dir}, size, self) {
			if a.status != 0 {
				t.Errorf("%s of ctr%d: %s", command, i, a.out)
			}
			each(i, a)
		}
	}
	files := make(map[string]string)
	all("ADD", func(i int, a answer) {
		for addr := range strings.FieldsSeq(a.addrs(t)) {
			if other, taken := files[addr]; taken {
				t.Errorf("%s belongs to ctr%d and to %s", addr, i, other)
			}
			files[addr] = fmt.Sprintf("%q", fmt.Sprintf("ctr%d\r\neth0", i))
		}
	})
	found := make(map[string]string)
	for _, name := range reservations(t, dir) {
		content, err := os.ReadFile(dir + name)
		must(t, err)
		found[strings.TrimPrefix(name, "/net/")] = fmt.Sprintf("%q", content)
	}
	if diff := cmp.Diff(files, found); diff != "" {
		t.Errorf("files (-results +found):\n%s", diff)
	}
	all("DEL", func(int, answer) {})
	if left := reservations(t, dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// crowd makes the call for so many containers at once, by ours and the reference's in turn.
func crowd(t *testing.T, c call, size int, ours string) []answer {
	answers := make([]answer, size)
	var all sync.WaitGroup
	for i := range answers {
		file := ours
		if i%2 == 1 {
			file = reference.Newest.Plugin("host-local")
		}
		all.Go(func() {
			c := c
			c.id = fmt.Sprintf("ctr%d", i)
			answers[i] = c.exec(t, file)
		})
	}
	all.Wait()
	return answers
}

// Two ADDs of one container and interface at the same time: one address, one error, and one DEL takes all away.
func TestTwins(t *testing.T) {
	self, err := os.Executable()
	must(t, err)
	dir, twins := t.TempDir(), make([]answer, 2)
	var both sync.WaitGroup
	for i := range twins {
		both.Go(func() { twins[i] = call{command: "ADD", config: network("1.1.0", dual), dir: dir}.exec(t, self) })
	}
	both.Wait()
	if a, b := twins[0].code(t), twins[1].code(t); a+b != 100 {
		t.Errorf("codes %d and %d, want 0 and 100", a, b)
	}
	if got := reservations(t, dir); len(got) != 2 {
		t.Errorf("reservations: %v", got)
	}
	call{command: "DEL", config: network("1.1.0", dual), dir: dir}.run(t)
	if left := reservations(t, dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
