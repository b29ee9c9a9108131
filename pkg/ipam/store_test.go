package ipam

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/nstest"
)

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, "net", true)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

var must = nstest.Must

// files returns what a directory holds, as mode and content by name.
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	all := make(map[string]string)
	for _, e := range entries {
		info, err := e.Info()
		must(t, err)
		content, _ := os.ReadFile(filepath.Join(dir, e.Name()))
		all[e.Name()] = fmt.Sprintf("%v %q", info.Mode(), content)
	}
	return all
}

func write(t testing.TB, s *Store, name, content string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(s.path, name), []byte(content), 0o600))
}

// The layout is the reference's, to the byte (behaviour noted from its version 1.9.1).
func TestLayout(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	set := Set{Whole(netip.MustParsePrefix("10.1.0.0/29"))}
	six := Set{Whole(netip.MustParsePrefix("fd00:1::/64"))}
	for i, set := range []Set{set, six} {
		_, err := s.Allocate(i, set, netip.Addr{}, Attachment{Holder: Holder{"ctr1", "eth0"}})
		must(t, err)
	}
	want := map[string]string{
		"10.1.0.2":           `-rw------- "ctr1\r\neth0"`,
		"fd00:1::2":          `-rw------- "ctr1\r\neth0"`,
		"last_reserved_ip.0": `-rw------- "10.1.0.2"`,
		"last_reserved_ip.1": `-rw------- "fd00:1::2"`,
		"lock":               `-rwxr-x--- ""`,
	}
	if diff := cmp.Diff(want, files(t, s.path)); diff != "" {
		t.Errorf("directory (-want +got):\n%s", diff)
	}
	if info, err := os.Stat(s.path); err != nil || info.Mode() != fs.ModeDir|0o755 {
		t.Errorf("directory: %v, %v, want mode 0755", info.Mode(), err)
	}
}

func TestReserveTaken(t *testing.T) {
	s := open(t, t.TempDir())
	a := addr("10.1.0.2")
	must(t, s.Reserve(a, Attachment{Holder: Holder{"ctr1", "eth0"}}))
	before := files(t, s.path)
	err := s.Reserve(a, Attachment{Holder: Holder{"ctr2", "eth0"}})
	if fault.Code(err) != fault.Taken || !strings.Contains(err.Error(), "ctr1/eth0") {
		t.Errorf("second reservation: %v, want fault.Taken naming ctr1/eth0", err)
	}
	if diff := cmp.Diff(before, files(t, s.path)); diff != "" {
		t.Errorf("the directory changed:\n%s", diff)
	}
}

// A file that a crash left empty or torn is a free address; a directory or a person's note holds its address.
func TestOddFiles(t *testing.T) {
	s := open(t, t.TempDir())
	write(t, s, "10.1.0.2", "")
	write(t, s, "10.1.0.3", "\x00\x00\x00")
	must(t, os.Mkdir(filepath.Join(s.path, "10.1.0.4"), 0o755))
	must(t, unix.Mkfifo(filepath.Join(s.path, "10.1.0.5"), 0o600))
	write(t, s, "10.1.0.6", "kept for the printer")
	write(t, s, "10.1.0.7", strings.Repeat("x", 2*fileRoom))
	write(t, s, "notes", "ctr1\r\neth0")
	must(t, os.Symlink("notes", filepath.Join(s.path, "10.1.0.8")))
	set := Set{span("10.1.0.0/24", "10.1.0.2", "10.1.0.10")}
	var got []string
	for range 5 {
		g, err := s.Allocate(0, set, netip.Addr{}, Attachment{Holder: Holder{"ctr1", "eth0"}})
		if err != nil {
			got = append(got, err.Error())
			break
		}
		got = append(got, g.Addr.Addr().String())
	}
	// A pipe that nobody writes to reads as empty, so it counts as torn and gives way.
	want := []string{"10.1.0.2", "10.1.0.3", "10.1.0.5", "10.1.0.9", "10.1.0.10"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}

// A pipe in place of the lock is as good a lock, and nobody waits for its other end.
func TestLockIsAPipe(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "net"), 0o755))
	must(t, unix.Mkfifo(filepath.Join(dir, "net", "lock"), 0o600))
	s := open(t, dir)
	must(t, s.Reserve(addr("10.1.0.2"), Attachment{Holder: Holder{"ctr1", "eth0"}}))
}

// Nor does anybody wait for what may come out of a pipe that somebody has open: the address is taken, and nobody knows by whom.
func TestAddressIsAnOpenPipe(t *testing.T) {
	s := open(t, t.TempDir())
	name := filepath.Join(s.path, "10.1.0.2")
	must(t, unix.Mkfifo(name, 0o600))
	writer, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(writer)
	if f := s.look(addr("10.1.0.2")); f.state != held || !f.Holder.Unknown() {
		t.Errorf("an open pipe is %+v", f)
	}
}

// Where a pointer is lost or torn, the round begins anew.
func TestPointerLost(t *testing.T) {
	s := open(t, t.TempDir())
	for _, text := range []string{"", "10.1", "\x00\x00", "fd00::1%lo", "10.1.0.300"} {
		write(t, s, "last_reserved_ip.0", text)
		if last := s.Last(0); last.IsValid() {
			t.Errorf("%q was read as %s", text, last)
		}
	}
	must(t, os.Remove(filepath.Join(s.path, "last_reserved_ip.0")))
	if last := s.Last(0); last.IsValid() {
		t.Errorf("no file was read as %s", last)
	}
	write(t, s, "last_reserved_ip.0", " 10.1.0.9\n")
	if last := s.Last(0); last != addr("10.1.0.9") {
		t.Errorf("10.1.0.9 was read as %s", last)
	}
	must(t, writeNew(s.dir, "last_reserved_ip.0", "10.1.0.8"))
	if last := s.Last(0); last != addr("10.1.0.8") {
		t.Errorf("10.1.0.8, written in place, was read as %s", last)
	}
}

// Only an ADD makes a directory.
func TestOpenExisting(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(t.Context(), dir, "net", false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v, want fs.ErrNotExist", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("it made %v", entries)
	}
}

// A command that waits too long ends with an error that names who it waits for.
func TestLockDeadline(t *testing.T) {
	dir := t.TempDir()
	held := open(t, dir)
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	_, err := Open(ctx, dir, "net", true)
	want := fmt.Sprintf("locked by process %d ", os.Getpid())
	if fault.Code(err) != fault.TryLater || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want fault.TryLater with %q", err, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, dir, "net", true); !errors.Is(err, context.Canceled) {
		t.Errorf("ended call: %v, want context.Canceled", err)
	}
	opened := make(chan error)
	go func() {
		s, err := Open(t.Context(), dir, "net", true)
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	must(t, held.Close())
	must(t, <-opened)
}

func mount(t *testing.T, kind, path, options string) {
	t.Helper()
	must(t, unix.Mount(kind, path, kind, 0, options))
	t.Cleanup(func() { must(t, unix.Unmount(path, unix.MNT_DETACH)) })
}

// Every kind of file system does: the one with anonymous files, and the one without.
func TestFileSystems(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		base := t.TempDir()
		mount(t, "tmpfs", base, "")
		for _, dir := range []string{"lower", "upper", "work", "merged"} {
			must(t, os.Mkdir(filepath.Join(base, dir), 0o755))
		}
		merged := filepath.Join(base, "merged")
		options := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", base)
		mount(t, "overlay", merged, options)
		for _, dir := range []string{base, merged} {
			s := open(t, dir)
			must(t, s.Reserve(addr("10.1.0.2"), Attachment{Holder: Holder{"ctr1", "eth0"}}))
			if got, want := s.look(addr("10.1.0.2")).recorded, nstest.Since(t, 6, 6); got != want { // docs/kernels.md: attributes on tmpfs
				t.Errorf("%s: recorded %v, want %v", dir, got, want)
			}
			must(t, createExclusive(s.dir, "10.1.0.3", "ctr2\r\neth0", nil))
			if err := createExclusive(s.dir, "10.1.0.3", "x", nil); !errors.Is(err, fs.ErrExist) {
				t.Errorf("%s: exclusive: %v, want fs.ErrExist", dir, err)
			}
			must(t, s.SetLast(0, addr("10.1.0.3")))
			want := map[string]string{
				"10.1.0.2": `-rw------- "ctr1\r\neth0"`, "10.1.0.3": `-rw------- "ctr2\r\neth0"`,
				"last_reserved_ip.0": `-rw------- "10.1.0.3"`, "lock": `-rwxr-x--- ""`,
			}
			if diff := cmp.Diff(want, files(t, s.path)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", dir, diff)
			}
			must(t, s.Release(addr("10.1.0.2")))
		}
	})
}

// A full, a read-only and a misplaced directory are errors of class IO, and nothing is left of the attempt.
func TestUnusable(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		base := t.TempDir()
		mount(t, "tmpfs", base, "size=64k")
		s := open(t, base)
		if err := Usable(base, "net"); err != nil {
			t.Errorf("usable directory: %v", err)
		}
		filler, err := os.Create(filepath.Join(base, "filler"))
		must(t, err)
		for err == nil {
			_, err = filler.Write(make([]byte, 4096))
		}
		before := files(t, s.path)
		checkIO(t, "full", s.Reserve(addr("10.1.0.2"), Attachment{Holder: Holder{"ctr1", "eth0"}}), Usable(base, "net"))
		if diff := cmp.Diff(before, files(t, s.path)); diff != "" {
			t.Errorf("full: the directory changed:\n%s", diff)
		}
		must(t, os.Remove(filler.Name()))
		filler.Close()
		must(t, s.Close())
		must(t, unix.Mount("", base, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
		s = open(t, base)
		readOnly := s.Reserve(addr("10.1.0.2"), Attachment{Holder: Holder{"ctr1", "eth0"}})
		checkIO(t, "read-only", readOnly, Usable(base, "net"), Usable(base, "other"))
		if !strings.Contains(readOnly.Error(), base) { // an operator sees it as the runtime's error, far from the configuration
			t.Errorf("read-only: %v, want it to name the directory", readOnly)
		}
	})
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "net"), nil, 0o600))
	_, err := Open(t.Context(), dir, "net", true)
	_, err2 := Open(t.Context(), dir, "net", false)
	checkIO(t, "file in place of the directory", err, err2, Usable(dir, "net"))
}

func checkIO(t *testing.T, what string, errs ...error) {
	t.Helper()
	for i, err := range errs {
		if fault.Code(err) != fault.IO || fault.Hint(err) == "" {
			t.Errorf("%s, case %d: %v, want fault.IO with a remedy", what, i, err)
		}
	}
}
