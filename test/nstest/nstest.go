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
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/slack"
	"github.com/trestle-cni/trestle/test/space"
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
		Must(t, space.Settle())
		f(t)
		return
	}
	timeout := min(slack.Of(10*time.Minute), 40*time.Minute)
	if os.Getenv("TRESTLE_LONG")+os.Getenv("TRESTLE_TRIAL") != "" {
		timeout = 2 * time.Hour
	}
	cmd := exec.Command("/proc/self/exe", "-test.run="+pattern(t.Name()), "-test.v", "-test.timeout="+timeout.String())
	cmd.Env = append(os.Environ(), marker+"="+t.Name(), "XDG_CONFIG_HOME=/run/config", "XDG_RUNTIME_DIR=/run/user") // none of who tests
	cmd.SysProcAttr = space.Attributes(true)
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
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

// Namespace makes a network namespace and returns its path, /run/netns/<name>, as ip-netns(8) would have it. Its lo is down.
func Namespace(t testing.TB, name string) string {
	t.Helper()
	path, err := space.Make(name)
	Must(t, err)
	return path
}

// Remove takes the namespace's name away, as a runtime does when a container has gone. The namespace dies when nobody else is in it.
func Remove(t testing.TB, path string) {
	t.Helper()
	Must(t, space.Remove(path))
}

// In runs f on a thread inside the namespace and returns its error. Sockets that f opens stay there.
func In(path string, f func() error) error { return space.In(path, f) }

// Since says whether the kernel is of this version of Linux or a later one. A test asks where kernels differ, and holds what is right on either.
func Since(t testing.TB, major, minor int) bool {
	t.Helper()
	var name unix.Utsname
	Must(t, unix.Uname(&name))
	var have [2]int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &have[0], &have[1]); err != nil {
		t.Fatalf("the kernel's version: %v", err)
	}
	return slices.Compare(have[:], []int{major, minor}) >= 0
}

// Must ends the test with the error, if there is one.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Program runs a program, which gets the text, and returns all that it says. Where it fails the test ends.
func Program(t testing.TB, text, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out)
}

// Announced puts programs in front of those of the names in /usr/sbin, for whom is started from now on: each says its name in a line of the file log, which may be a pipe, and
// goes on as the real one. Who asks for a version alone is not counted.
func Announced(t testing.TB, log string, names ...string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = --version ] || echo %s >>%s\nexec /usr/sbin/%[1]s \"$@\"\n", name, log)
		Must(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	}
	Must(t, os.Setenv("PATH", dir+":"+os.Getenv("PATH"))) // of this process, which is the test's alone
}
