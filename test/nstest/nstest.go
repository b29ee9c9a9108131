// Package nstest gives each test a kernel of its own: new user, network and mount namespaces in a child process, so that tests
// need no root, harm no host, and can run at the same time.
package nstest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// marker names, in the child's environment, the test that it was started for.
const marker = "NSTEST_CHILD"

// Run runs f as a test in a host of its own: lo is up, there is no other interface, no rule, and /run, /var/lib and /etc/cni are
// empty. Where the kernel or the user's limits do not allow that, the test fails and says why; it is never skipped.
//
// The calling test binary is executed once more for f, so f must reach its Run by the test's name alone.
func Run(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	if os.Getenv(marker) == t.Name() {
		prepare(t)
		f(t)
		return
	}
	timeout := "10m"
	if os.Getenv("TRESTLE_LONG") != "" {
		timeout = "2h"
	}
	cmd := exec.Command("/proc/self/exe", "-test.run="+pattern(t.Name()), "-test.v", "-test.timeout="+timeout)
	cmd.Env = append(os.Environ(), marker+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER,
		// Once the user is mapped: files below /proc/net belong to whoever is root at a namespace's birth (net/netfilter/x_tables.c).
		Unshareflags:               syscall.CLONE_NEWNET | syscall.CLONE_NEWNS,
		UidMappings:                []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings:                []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		GidMappingsEnableSetgroups: false,
		Pdeathsig:                  syscall.SIGKILL,
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	runtime.LockOSThread() // Pdeathsig is sent when the thread that forked ends
	err := cmd.Run()
	runtime.UnlockOSThread()
	if err != nil {
		t.Errorf("in namespaces of its own: %v\n%s", err, out.Bytes())
		return
	}
	if !strings.Contains(out.String(), "--- PASS: "+t.Name()+" ") {
		t.Errorf("the child did not run this test:\n%s", out.Bytes())
		return
	}
	if testing.Verbose() {
		t.Logf("%s", out.Bytes())
	}
}

// pattern matches exactly the named test or subtest.
func pattern(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return strings.Join(parts, "/")
}

func prepare(t *testing.T) {
	t.Helper()
	must(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	for _, dir := range []string{"/run", "/var/lib", "/etc/cni"} {
		if _, err := os.Stat(dir); err != nil {
			continue // /etc/cni need not exist, and an ordinary user cannot make it
		}
		must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"))
	}
	must(t, os.MkdirAll("/run/netns", 0o755))
	linkUp(t, "lo")
}

func linkUp(t *testing.T, name string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	req, err := unix.NewIfreq(name)
	must(t, err)
	must(t, unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, req))
	req.SetUint16(req.Uint16() | unix.IFF_UP)
	must(t, unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req))
}

// Namespace makes a network namespace and returns its path, /run/netns/<name>, as ip-netns(8) would have it. Its lo is down.
func Namespace(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join("/run/netns", name)
	must(t, os.MkdirAll("/run/netns", 0o755))
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o444)
	must(t, err)
	file.Close()
	must(t, aside(func() error {
		own, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			return err
		}
		defer own.Close()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			return err
		}
		return unix.Setns(int(own.Fd()), unix.CLONE_NEWNET) // the thread may take its time to end, and would keep it alive
	}))
	return path
}

// aside runs f on a thread that ends with it. It is never the process's first thread, which cannot end, and of which /proc/self
// speaks: a test would see itself in f's namespace.
func aside(f func() error) error {
	errs := make(chan error)
	go func() {
		defer close(errs)      // f may end the goroutine by t.Fatal
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() {
			err := aside(f) // this thread waits, so that one is another
			runtime.UnlockOSThread()
			errs <- err
			return
		}
		errs <- f()
	}()
	return <-errs
}

// Remove takes the namespace's name away, as a runtime does when a container has gone. The namespace dies when nobody else is in it.
func Remove(t testing.TB, path string) {
	t.Helper()
	must(t, unix.Unmount(path, unix.MNT_DETACH))
	must(t, os.Remove(path))
}

// In runs f on a thread inside the namespace and returns its error. Sockets that f opens stay there.
func In(path string, f func() error) error {
	return aside(func() error {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter %s: %w", path, err)
		}
		return f()
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
