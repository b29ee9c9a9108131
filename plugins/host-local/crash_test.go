package hostlocal

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
)

// long says that the tests are to run at full size.
func long() bool { return os.Getenv("TRESTLE_LONG") == "1" }

// changing are the system calls by which a command changes what others see. The sample kills at each of them; the full test kills
// at every call of every kind.
const changing = "openat,mkdirat,linkat,unlinkat,renameat,renameat2,write,pwrite64,ftruncate,fsetxattr,lsetxattr,utimensat,flock"

// crash is a command that is killed. Without an index it makes one, from a scan.
type crash struct {
	command string
	index   bool
	step    string // what it does once for each address, or at the least twice
}

// A command that is killed at whatever system call leaves nothing that a DEL or the next ADD does not put right: in a network of
// two addresses, one of which somebody holds, the other one is to be had again, and the holder's is not touched.
func TestKilledAnywhere(t *testing.T) {
	for _, c := range []crash{{"ADD", true, "linkat"}, {"ADD", false, "ftruncate"}, {"DEL", true, "unlinkat"}} {
		kinds := strings.Split(changing, ",")
		if long() {
			kinds = callsOf(t, c)
		}
		killed, total := make(map[string]int), 0
		for _, kind := range kinds {
			for killedAt(t, c, kind, killed[kind]+1) {
				killed[kind]++
				total++
			}
		}
		t.Logf("%v was killed at %d system calls: %v", c, total, killed)
		if killed[c.step] < 2 {
			t.Errorf("%v was killed at %d calls of %s", c, killed[c.step], c.step)
		}
	}
}

// killedAt kills the command at its nth call of a kind, and looks what comes after. It says false when there is no such call.
func killedAt(t *testing.T, c crash, kind string, n int) bool {
	t.Helper()
	dir := t.TempDir()
	c.prepare(t, dir)
	killed := strace(t, call{command: c.command, id: "victim", config: crashed, dir: dir}, "-o", "/dev/null",
		"-e", "trace="+kind, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", kind, n))
	if killed {
		checkRecovered(t, dir, fmt.Sprintf("%v killed at %s number %d", c, kind, n), n%2 == 0)
	}
	must(t, os.RemoveAll(dir))
	return killed
}

// callsOf returns the kinds of system calls that the command makes.
func callsOf(t *testing.T, c crash) []string {
	t.Helper()
	dir, log := t.TempDir(), filepath.Join(t.TempDir(), "log")
	c.prepare(t, dir)
	strace(t, call{command: c.command, id: "victim", config: crashed, dir: dir}, "-o", log)
	text, err := os.ReadFile(log)
	must(t, err)
	kinds := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		if kind, _, ok := strings.Cut(line, "("); ok {
			kinds[kind] = true
		}
	}
	delete(kinds, "execve") // before it there is no command
	return slices.Sorted(maps.Keys(kinds))
}

var crashed = network("1.1.0", `"ranges": [[{"subnet": "10.1.0.0/29", "rangeStart": "10.1.0.2", "rangeEnd": "10.1.0.3"}], [{"subnet": "fd00::/126"}]]`)

// prepare makes the reservations that the command meets.
func (c crash) prepare(t *testing.T, dir string) {
	t.Helper()
	for _, id := range []string{"other", "victim"}[:map[string]int{"ADD": 1, "DEL": 2}[c.command]] {
		if a := (call{command: "ADD", id: id, config: crashed, dir: dir}).run(t); a.status != 0 {
			t.Fatal(a.out)
		}
	}
	if !c.index {
		must(t, os.RemoveAll(filepath.Join(dir, ".trestle")))
	}
}

// strace runs a command under strace(1), and says whether it was killed. It sees the calls of the first thread, where TestMain keeps
// the command, and dies of what the command dies of. It counts the calls of each kind by themselves.
func strace(t *testing.T, c call, options ...string) bool {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), "strace", append(options, self)...)
	var out bytes.Buffer
	cmd.Env = append(c.environ(), "PATH="+os.Getenv("PATH"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(c.stdin()), &out, &out
	err = cmd.Run()
	if err != nil && !strings.Contains(err.Error(), "killed") {
		t.Fatalf("%v\n%s", err, out.Bytes())
	}
	return err != nil
}

// checkRecovered takes the victim away, and gives its address to another. Half of the times its DEL never comes, and it is a GC
// that takes it away.
func checkRecovered(t *testing.T, dir, what string, del bool) {
	t.Helper()
	c := call{command: "DEL", id: "victim", config: crashed, dir: dir}
	if !del {
		c = call{command: "GC", dir: dir, config: strings.Replace(crashed, "{", `{"cni.dev/valid-attachments": [{"containerID": "other", "ifname": "eth0"}],`, 1)}
	}
	if a := c.run(t); a.status != 0 {
		t.Errorf("%s: %s: %s", what, c.command, a.out)
	}
	want := []string{"/net/10.1.0.2", "/net/fd00::2"}
	if diff := cmp.Diff(want, reservations(t, dir)); diff != "" {
		t.Errorf("%s: after %s (-want +got):\n%s", what, c.command, diff)
	}
	a := call{command: "ADD", id: "next", config: crashed, dir: dir}.run(t)
	if got := a.addrs(t); got != "10.1.0.3 fd00::3" {
		t.Errorf("%s: the next ADD: %s", what, got)
	}
	if a := (call{command: "CHECK", id: "other", config: crashed, dir: dir}).run(t); a.status != 0 {
		t.Errorf("%s: the other container: %s", what, a.out)
	}
}

// Any file cut at any length loses no address for ever: what it says less it says wrong, and a GC or the next boot sees to that.
// The files are in memory: there are 70,000 lengths.
func TestTruncatedAnywhere(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		const original = "/run/original"
		crash{command: "DEL", index: true}.prepare(t, original)
		must(t, filepath.Walk(original, func(path string, info os.FileInfo, err error) error {
			if err == nil && info.Mode().IsRegular() {
				truncateEverywhere(t, original, strings.TrimPrefix(path, original), info.Size())
			}
			return err
		}))
	})
}

func truncateEverywhere(t *testing.T, original, name string, size int64) {
	t.Helper()
	step := int64(1)
	if !long() {
		step = max(1, size/40)
	}
	const dir = "/run/copy"
	for length := int64(0); length < size; length += step {
		must(t, os.CopyFS(dir, os.DirFS(original)))
		must(t, os.Truncate(dir+name, length))
		checkTruncated(t, dir, fmt.Sprintf("%s cut to %d bytes", name, length))
		must(t, os.RemoveAll(dir))
	}
}

func checkTruncated(t *testing.T, dir, what string) {
	t.Helper()
	for _, command := range []string{"CHECK", "STATUS", "DEL"} {
		a := call{command: command, id: "victim", config: crashed, dir: dir}.run(t)
		if a.status != 0 && (command != "CHECK" || a.code(t) != 102) {
			t.Errorf("%s: %s: %s", what, command, a.out)
		}
	}
	gc := call{command: "GC", dir: dir, config: strings.Replace(crashed, "{", `{"cni.dev/valid-attachments": [],`, 1)}
	if a := gc.run(t); a.status != 0 {
		t.Errorf("%s: GC: %s", what, a.out)
	}
	var got []string
	for _, id := range []string{"next", "last"} {
		got = append(got, strings.Fields(call{command: "ADD", id: id, config: crashed, dir: dir}.run(t).addrs(t))...)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"10.1.0.2", "10.1.0.3", "fd00::2", "fd00::3"}, got); diff != "" {
		t.Errorf("%s: two ADDs (-want +got):\n%s", what, diff)
	}
}

// A process that holds the lock and does not move is named, by its number.
func TestStoppedHolder(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "net"), 0o755))
	lock, err := os.Create(filepath.Join(dir, "net", "lock"))
	must(t, err)
	defer lock.Close()
	must(t, unix.Flock(int(lock.Fd()), unix.LOCK_EX))
	sleeper := exec.Command("cat")
	sleeper.ExtraFiles = []*os.File{lock}
	in, err := sleeper.StdinPipe()
	must(t, err)
	must(t, sleeper.Start())
	must(t, sleeper.Process.Signal(unix.SIGSTOP))
	ctx, stop := contextWithDeadline(t)
	defer stop()
	a := call{command: "DEL", config: network("1.1.0", dual), dir: dir}.runContext(ctx)
	if a.code(t) != 11 || !strings.Contains(a.addrs(t), fmt.Sprintf("locked by process %d ", os.Getpid())) {
		t.Errorf("DEL: %s, want code 11 naming process %d", a.out, os.Getpid())
	}
	must(t, sleeper.Process.Signal(unix.SIGCONT))
	must(t, in.Close())
	must(t, sleeper.Wait())
}
