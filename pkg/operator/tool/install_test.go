package tool

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// The binary that is installed is the running one: this test.
func TestMain(m *testing.M) {
	if os.Getenv("INSTALLED") != "" { // called as one of the installed names
		os.Stdout.WriteString(filepath.Base(os.Args[0]))
		os.Exit(0)
	}
	if dir := os.Getenv("INSTALL_INTO"); dir != "" { // an installer that is a process of its own, as the command is
		for range 20 {
			if _, err := (Installation{Dir: dir, Names: names}).Install(); err != nil {
				os.Stderr.WriteString(err.Error())
				os.Exit(1)
			}
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var names = []string{"bridge", "host-local", "trestle"}

func install(t *testing.T, i Installation) {
	t.Helper()
	if _, err := i.Install(); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func list(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

func write(t *testing.T, text string, path ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(path...), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, path ...string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(path...))
	cmd.Env = []string{"INSTALLED=1"}
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s: %v", cmd.Path, err)
	}
	return string(out)
}

func TestInstallAndUninstall(t *testing.T) {
	i := Installation{Dir: t.TempDir(), Names: names}
	install(t, i)
	for _, name := range names {
		if got := run(t, i.Dir, name); got != name {
			t.Errorf("%s was called as %q", name, got)
		}
	}
	install(t, i) // an upgrade takes our own names without being asked twice
	if got := list(t, i.Dir); got != "bridge host-local trestle" {
		t.Errorf("installed: %s", got)
	}
	if _, err := i.Uninstall(); err != nil {
		t.Fatal(err)
	}
	if got := list(t, i.Dir); got != "" {
		t.Errorf("left by uninstall: %s", got)
	}
	did, err := i.Uninstall() // a second time: there is nothing to do
	var said strings.Builder
	if err := errors.Join(err, did.print(&said, false)); err != nil || said.String() != i.Dir+": nothing of ours was there\n" {
		t.Errorf("uninstalled twice: %v, %q", err, said.String())
	}
}

// Whoever runs containers may run the plugins, be an installer's own files for himself alone; which they are again afterwards.
func TestInstalledForAll(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	i := Installation{Dir: filepath.Join(t.TempDir(), "opt", "bin"), Names: names, Make: true, Replace: true}
	install(t, i)
	write(t, "theirs", i.Dir, "later")
	i.Names = append(i.Names, "later")
	install(t, i)
	for _, name := range append(i.Names, "", "..", aside) {
		if info, err := os.Lstat(filepath.Join(i.Dir, name)); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%q: %v, %v", name, info, err)
		}
	}
	if mask := unix.Umask(0o077); mask != 0o077 {
		t.Errorf("files of the installer's have lost %o", mask)
	}
}

// A runtime from an archive looks for plugins where nobody has made a directory yet.
func TestInstallWhereNothingIs(t *testing.T) {
	i := Installation{Dir: filepath.Join(t.TempDir(), "cni/bin"), Names: names}
	if _, err := i.Install(); fault.Code(err) != fault.Config || fault.Hint(err) != "mkdir -p "+i.Dir+", if that is where the runtime looks for plugins" {
		t.Errorf("%v, with the remedy %q", err, fault.Hint(err))
	}
	i.Make = true
	install(t, i)
	if got := list(t, i.Dir); got != "bridge host-local trestle" {
		t.Errorf("installed: %s", got)
	}
}

func TestForeignPluginsAreKeptAside(t *testing.T) {
	i := Installation{Dir: t.TempDir(), Names: names}
	write(t, "theirs", i.Dir, "bridge")
	write(t, "other", i.Dir, "macvlan")
	_, err := i.Install()
	if fault.Code(err) != fault.Taken || !strings.Contains(err.Error(), "bridge") {
		t.Errorf("install over somebody else's: %v, want it refused by name", err)
	}
	if got := list(t, i.Dir); got != "bridge macvlan" || read(t, i.Dir, "bridge") != "theirs" {
		t.Errorf("a refused installation left %s", got)
	}
	i.Replace = true
	install(t, i)
	install(t, i)
	if got := run(t, i.Dir, "bridge"); got != "bridge" {
		t.Errorf("bridge is still %q", got)
	}
	if _, err := i.Uninstall(); err != nil {
		t.Fatal(err)
	}
	if got := list(t, i.Dir); got != "bridge macvlan" || read(t, i.Dir, "bridge") != "theirs" || read(t, i.Dir, "macvlan") != "other" {
		t.Errorf("after uninstall: %s", got)
	}
}

// What another version had, and this one does not know, goes too, and what it had put aside comes back.
func TestUninstallOfAnotherVersion(t *testing.T) {
	i := Installation{Dir: t.TempDir(), Names: append([]string{"future", "past"}, names...), Replace: true}
	write(t, "theirs", i.Dir, "past")
	install(t, i)
	i.Names = names
	install(t, i)
	if _, err := i.Uninstall(); err != nil {
		t.Fatal(err)
	}
	if got := list(t, i.Dir); got != "past" || read(t, i.Dir, "past") != "theirs" {
		t.Errorf("after uninstall: %s", got)
	}
}

func TestUninstallLeavesWhatBecameForeign(t *testing.T) {
	for _, before := range []string{"", "older"} {
		i := Installation{Dir: t.TempDir(), Names: names, Replace: true}
		if before != "" {
			write(t, before, i.Dir, "bridge")
		}
		install(t, i)
		replaced(t, "theirs", i.Dir, "bridge")
		if _, err := i.Uninstall(); err != nil {
			t.Fatal(err)
		}
		if got := list(t, i.Dir); got != "bridge" || read(t, i.Dir, "bridge") != "theirs" {
			t.Errorf("after uninstall: %s", got)
		}
	}
}

// replaced puts a file in the place of another, as a package manager does.
func replaced(t *testing.T, text string, path ...string) {
	t.Helper()
	name := filepath.Join(path...)
	write(t, text, name+".new")
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

// What comes back is what others had last: what they put under a name after ours (rpm knows no diversions), what was kept of a name that is gone.
func TestNewestOfTheirsComesBack(t *testing.T) {
	i := Installation{Dir: t.TempDir(), Names: names, Replace: true}
	write(t, "older", i.Dir, "bridge")
	write(t, "theirs", i.Dir, "host-local")
	install(t, i)
	replaced(t, "newer", i.Dir, "bridge")
	install(t, i)
	if err := os.Remove(filepath.Join(i.Dir, "host-local")); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Uninstall(); err != nil {
		t.Fatal(err)
	}
	if got := list(t, i.Dir); got != "bridge host-local" || read(t, i.Dir, "bridge") != "newer" || read(t, i.Dir, "host-local") != "theirs" {
		t.Errorf("after uninstall: %s", got)
	}
	// Taken away by hand, while dpkg still has diversions: an upgrade of theirs goes aside, be ours installed once more then or not.
	for _, again := range []bool{false, true} {
		if err := os.Mkdir(filepath.Join(i.Dir, aside), 0o755); err != nil {
			t.Fatal(err)
		}
		for !later(i.path(aside, "bridge"), i.path("bridge")) { // the file system's clock ticks in milliseconds
			replaced(t, "diverted", i.Dir, aside, "bridge")
		}
		if again {
			install(t, i)
		}
		if _, err := i.Uninstall(); err != nil {
			t.Fatal(err)
		}
		if got := list(t, i.Dir); got != "bridge host-local" || read(t, i.Dir, "bridge") != "diverted" {
			t.Errorf("after uninstall: %s", got)
		}
		replaced(t, "older", i.Dir, "bridge")
	}
}

// What an installer that was ended has begun is swept, be it by the next of its kind or by what takes all away.
func TestHalfWritten(t *testing.T) {
	for _, first := range []func(Installation) (installAnswer, error){Installation.Install, Installation.Uninstall} {
		i := Installation{Dir: t.TempDir(), Names: names}
		for _, name := range []string{next, next + "-bridge", next + "=bridge"} {
			write(t, "\x7fELF half", i.Dir, name)
		}
		if _, err := first(i); err != nil {
			t.Fatal(err)
		}
		if got := list(t, i.Dir); strings.Contains(got, next) {
			t.Errorf("left: %s", got)
		}
	}
}

// A runtime may start a plugin at any moment: the name is always there, and the file is never one that is being written. Nor is it where two install at
// once, as a package and a DaemonSet do.
func TestInstallWhilePluginsRun(t *testing.T) {
	i := Installation{Dir: t.TempDir(), Names: names}
	install(t, i)
	const installers = 2
	done := make(chan error)
	for range installers {
		installer := exec.Command("/proc/self/exe")
		installer.Env = []string{"INSTALL_INTO=" + i.Dir}
		var said strings.Builder
		installer.Stderr = &said
		if err := installer.Start(); err != nil {
			t.Fatal(err)
		}
		go func() {
			err := installer.Wait()
			if err != nil {
				err = fmt.Errorf("installer: %w: %s", err, said.String())
			}
			done <- err
		}()
	}
	for calls, over := 0, 0; over < installers; calls++ {
		if got := run(t, i.Dir, "bridge"); got != "bridge" {
			t.Fatalf("call %d was answered with %q", calls, got)
		}
		select {
		case err := <-done:
			if over++; err != nil {
				t.Fatal(err)
			}
		default:
		}
	}
}

func TestMissingDirectory(t *testing.T) {
	i := Installation{Dir: filepath.Join(t.TempDir(), "none"), Names: names}
	if _, err := i.Install(); err == nil || !strings.Contains(err.Error(), i.Dir) {
		t.Errorf("install into a missing directory: %v, want an error with its name", err)
	}
	if _, err := i.Uninstall(); err == nil || !strings.Contains(err.Error(), i.Dir) {
		t.Errorf("uninstall from a missing directory: %v, want an error with its name", err)
	}
}
