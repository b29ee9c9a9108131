package site

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/slack"
)

// short is long enough for whoever need not wait, and short enough for a test that shows that somebody must.
const short = 50 * time.Millisecond

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), short)
	t.Cleanup(cancel)
	return ctx
}

func inTime(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), slack.Of(20*time.Second))
	t.Cleanup(cancel)
	return ctx
}

func TestOwnersDoNotWaitForEachOther(t *testing.T) {
	s := openIn(t, Options{Run: t.TempDir()})
	for _, o := range []owner.Owner{held, owner.Of("net", "two", "eth0"), owner.Of("net", "one", "eth1"), owner.Of("other", "one", "eth0")} {
		lock, err := s.LockOwner(inTime(t), o)
		must(t, err)
		defer lock.Unlock()
	}
}

func TestSameOwnerWaits(t *testing.T) {
	dir := t.TempDir()
	one, two := openIn(t, Options{Run: dir}), openIn(t, Options{Run: dir})
	lock, err := one.LockOwner(inTime(t), held)
	must(t, err)
	if _, err := two.LockOwner(soon(t), held); fault.Code(err) != fault.TryLater || !errors.Is(err, context.DeadlineExceeded) ||
		!strings.Contains(err.Error(), filepath.Join(dir, "owners.lock")) {
		t.Errorf("%v, want code %d and the name of the lock", err, fault.TryLater)
	}
	got := make(chan error, 1)
	go func() {
		second, err := two.LockOwner(inTime(t), held)
		if err == nil {
			second.Unlock()
		}
		got <- err
	}()
	lock.Unlock()
	lock.Unlock() // a second one does nothing
	must(t, <-got)
}

// Whoever gave up does not get the lock later, unseen, and keep it from everybody.
func TestGivingUpLeavesNothing(t *testing.T) {
	s := openIn(t, Options{Run: t.TempDir()})
	first, err := s.LockOwner(inTime(t), held)
	must(t, err)
	for range 5 {
		if _, err := s.LockOwner(soon(t), held); fault.Code(err) != fault.TryLater {
			t.Fatal(err)
		}
	}
	first.Unlock()
	last, err := s.LockOwner(inTime(t), held)
	must(t, err)
	last.Unlock()
}

func TestGroundIsShared(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, Options{Run: dir})
	one, err := s.LockGround(inTime(t), "br0", false)
	must(t, err)
	two, err := s.LockGround(inTime(t), "br0", false)
	must(t, err)
	if _, err := s.LockGround(soon(t), "br0", true); fault.Code(err) != fault.TryLater {
		t.Errorf("%v: held alone beside two", err)
	}
	other, err := s.LockGround(inTime(t), "br1", true)
	must(t, err)
	other.Unlock()
	one.Unlock()
	must(t, two.Change(inTime(t), true))
	if _, err := s.LockGround(soon(t), "br0", false); fault.Code(err) != fault.TryLater {
		t.Errorf("%v: shared beside one alone", err)
	}
	must(t, two.Change(inTime(t), false))
	three, err := s.LockGround(inTime(t), "br0", false)
	must(t, err)
	three.Unlock()
	two.Unlock()
}

// A lock ends with its process, however that ends.
func TestKilledHolderFrees(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), holdVar+"="+dir)
	stdin, err := cmd.StdinPipe()
	must(t, err)
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "held\n" {
		t.Fatalf("the holder says %q, %v", line, err)
	}
	s := openIn(t, Options{Run: dir})
	if _, err := s.LockOwner(soon(t), held); fault.Code(err) != fault.TryLater {
		t.Errorf("%v: held by two processes", err)
	}
	if _, err := s.LockGround(soon(t), "br0", true); fault.Code(err) != fault.TryLater {
		t.Errorf("%v: held alone beside another process", err)
	}
	must(t, cmd.Process.Kill())
	_, err = s.LockOwner(inTime(t), held)
	must(t, err)
	_, err = s.LockGround(inTime(t), "br0", true)
	must(t, err)
	_ = cmd.Wait() // killed, as it says
}

func TestDirectoryOfLocks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := openIn(t, Options{Run: dir})
	must(t, s.Ready())
	must(t, s.Ready())
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	bad := openIn(t, Options{Run: filepath.Join(file, "run")})
	if err := bad.Ready(); err == nil || !strings.Contains(fault.Hint(err), file) {
		t.Errorf("%v (%s): want it to name the directory", err, fault.Hint(err))
	}
}
