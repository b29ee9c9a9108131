package hostlocal

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/test/reference"
)

// The same calls lead to the same files and the same answers, those of a small and often full network among them.
func TestSameAsReference(t *testing.T) {
	for _, build := range reference.Builds(t) {
		t.Run(build.Version, func(t *testing.T) { sameAs(t, build.Plugin("host-local")) })
	}
}

func sameAs(t *testing.T, file string) {
	for ipam, seed := range map[string]uint64{
		`"subnet": "10.1.0.0/28"`: 1,
		`"ranges": [[{"subnet": "10.1.0.0/29"}, {"subnet": "10.2.0.0/30", "gateway": "10.2.0.2"}], [{"subnet": "fd00::/125"}]]`:       2,
		`"ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.0", "rangeEnd": "10.1.0.6"}]], "routes": [{"dst": "0.0.0.0/0"}]`: 3,
	} {
		random := rand.New(rand.NewPCG(seed, 0))
		ours, theirs := t.TempDir(), t.TempDir()
		for i := range 60 {
			c := randomCall(random, network("0.4.0", ipam+`, "cooldown": 0`))
			c.dir = ours
			a := c.run(t)
			c.dir = theirs
			b := c.exec(t, file)
			if diff := compareAnswers(t, a, b); diff != "" {
				t.Fatalf("%s, call %d, %s %s %s: (-reference +ours):\n%s", ipam, i, c.command, c.id, c.args, diff)
			}
			if diff := cmp.Diff(oldTree(t, theirs), tree(t, ours)); diff != "" {
				t.Fatalf("%s, call %d, %s %s %s: directory (-reference +ours):\n%s", ipam, i, c.command, c.id, c.args, diff)
			}
		}
	}
}

// oldTree is tree with the modes of the reference of today: Debian's version 1.1.1 still lets everybody read the files.
func oldTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := tree(t, dir)
	for name, text := range all {
		all[name] = strings.Replace(text, "-rw-r--r--", "-rw-------", 1)
	}
	return all
}

// randomCall draws a call for one of ten containers. A request for an address is made for a container of its own only, since the
// reference lets a container have several by asking for them; and only for one in the ranges, since the reference finds out too late
// that no range has it, when the round has gone on.
func randomCall(random *rand.Rand, config string) call {
	c := call{command: "ADD", id: fmt.Sprintf("ctr%d", random.IntN(10)), config: config}
	switch random.IntN(10) {
	case 0:
		c.id, c.args = fmt.Sprintf("wants%d", random.Int()), fmt.Sprintf("IP=10.1.0.%d", 1+random.IntN(6))
	case 1, 2, 3:
		c.command = "DEL"
	case 4:
		c.command = "CHECK"
	}
	return c
}

// compareAnswers compares results to the byte, and of errors that there is one.
func compareAnswers(t *testing.T, ours, theirs answer) string {
	t.Helper()
	if theirs.status == 0 && ours.status == 0 {
		return cmp.Diff(theirs.out, ours.out)
	}
	if (theirs.status == 0) != (ours.status == 0) {
		return theirs.out + "\n" + ours.out
	}
	return ""
}

// A node changes from one to the other and back with containers running; each lets go of what the other reserved.
func TestChangeover(t *testing.T) {
	for _, build := range reference.Builds(t) {
		t.Run(build.Version, func(t *testing.T) { changeOver(t, build.Plugin("host-local")) })
	}
}

func changeOver(t *testing.T, theirs string) {
	dir := t.TempDir()
	config := network("1.0.0", `"ranges": [[{"subnet": "10.1.0.0/28"}], [{"subnet": "fd00::/64"}]]`)
	call := func(command, id string) call { return call{command: command, id: id, config: config, dir: dir} }
	var got []string
	for round := range 3 {
		a, b := fmt.Sprintf("ref%d", round), fmt.Sprintf("our%d", round)
		got = append(got, call("ADD", a).exec(t, theirs).addrs(t), call("ADD", b).run(t).addrs(t))
		for _, id := range []string{a, b} {
			if x := call("CHECK", id).exec(t, theirs); x.status != 0 {
				t.Errorf("the reference's CHECK of %s: %s", id, x.out)
			}
			if x := call("CHECK", id).run(t); x.status != 0 {
				t.Errorf("our CHECK of %s: %s", id, x.out)
			}
		}
	}
	want := strings.Split("10.1.0.2 fd00::2,10.1.0.3 fd00::3,10.1.0.4 fd00::4,10.1.0.5 fd00::5,10.1.0.6 fd00::6,10.1.0.7 fd00::7", ",")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	for round := range 3 {
		for id, x := range map[string]answer{
			"ours, by the reference": call("DEL", fmt.Sprintf("our%d", round)).exec(t, theirs),
			"the reference's, by us": call("DEL", fmt.Sprintf("ref%d", round)).run(t),
		} {
			if x.status != 0 {
				t.Errorf("DEL of %s: %s", id, x.out)
			}
		}
	}
	if left := reservations(t, dir); len(left) > 0 {
		t.Errorf("left: %s", left)
	}
}
