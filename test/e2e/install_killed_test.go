package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
)

// changes are the calls by which an installer changes its directory.
var changes = []string{"mkdirat", "copy_file_range", "write", "fsync", "linkat", "renameat", "unlinkat"}

// TestInstallKilled has `trestle install` and `uninstall` die before each of their changes to a directory with somebody else's plugins. No name is missing
// then, or half a file; and the next one, whichever of the two, ends where one that nobody killed does.
func TestInstallKilled(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		kills := 0
		for _, command := range []string{"install", "uninstall"} {
			for _, call := range changes {
				for n, lived := 1, false; !lived; n++ {
					lived = installerKilledAt(t, command, call, n)
					kills++
				}
			}
		}
		if t.Logf("killed %d times", kills); kills < 80 { // each name is linked and renamed
			t.Errorf("killed %d times, expected more", kills)
		}
	})
}

// installerKilledAt has the command die at its call number n of that name, and says whether it lived.
func installerKilledAt(t *testing.T, command, call string, n int) (lived bool) {
	t.Helper()
	dir := t.TempDir()
	theirs(t, dir)
	before := entriesOf(t, dir)
	if command == "uninstall" {
		operate(t, "install", dir, "--replace")
	}
	flags := []string{command, "--bin-dir", dir}
	if command == "install" {
		flags = append(flags, "--replace")
	}
	tool := filepath.Join(os.Getenv(bundleVar), "trestle")
	strace := []string{"-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e", "inject=" + call + ":signal=KILL:when=" + strconv.Itoa(n), tool}
	lived = exec.Command("/usr/bin/strace", append(strace, flags...)...).Run() == nil
	eachWhole(t, dir, tool)
	if n%2 == 0 {
		operate(t, "install", dir, "--replace")
		eachWhole(t, dir, tool)
	}
	operate(t, "uninstall", dir)
	if after := entriesOf(t, dir); after != before {
		t.Errorf("%s killed at %s %d, then uninstalled: before\n%s\nafter\n%s", command, call, n, before, after)
	}
	must(t, os.RemoveAll(dir))
	return lived
}

// their names are some of ours, and one that is nobody's but theirs.
var theirNames = []string{"bridge", "host-local", "flannel"}

func theirs(t *testing.T, dir string) {
	t.Helper()
	for _, name := range theirNames {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("their "+name), 0o755))
	}
}

// eachWhole wants each of their names to be their file or the whole of ours.
func eachWhole(t *testing.T, dir, tool string) {
	t.Helper()
	want, err := os.Stat(tool)
	must(t, err)
	for _, name := range theirNames {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		must(t, err)
		if info.Size() != want.Size() && read(t, path) != "their "+name {
			t.Errorf("%s: %d bytes, neither theirs nor all of ours", name, info.Size())
		}
	}
}

// entriesOf is all that a directory has, files of theirs with their text.
func entriesOf(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var all strings.Builder
	for _, e := range entries {
		all.WriteString(e.Name() + "\n")
	}
	return all.String() + sums(t, dir)
}

// TestInstallWhereItCannot: a file system that is full or read-only, a file in the directory's place. What was there is as it was.
func TestInstallWhereItCannot(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			size, want string
			flags      uintptr
		}{
			"full":      {size: "size=4m", want: "no space left on device\ntrestle: is the file system mounted, writable and not full?"},
			"read-only": {flags: unix.MS_RDONLY, want: "read-only file system\ntrestle: is the file system mounted, writable and not full?"},
		} {
			dir := t.TempDir()
			must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, c.size))
			theirs(t, dir)
			must(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|c.flags, c.size))
			before := entriesOf(t, dir)
			if out, err := operated("install", dir, "--replace"); err == nil || !strings.Contains(out, c.want) {
				t.Errorf("%s: %v: %s", name, err, out)
			}
			if after := entriesOf(t, dir); after != before {
				t.Errorf("%s: before\n%s\nafter\n%s", name, before, after)
			}
			must(t, unix.Unmount(dir, 0))
		}
		file := filepath.Join(t.TempDir(), "file")
		must(t, os.WriteFile(file, nil, 0o644))
		for _, command := range []string{"install", "uninstall"} {
			if out, err := operated(command, file); err == nil || !strings.Contains(out, file+": not a directory") {
				t.Errorf("%s into a file: %v: %s", command, err, out)
			}
		}
	})
}
