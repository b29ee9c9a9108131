package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/reference"
)

// TestAbout runs each plugin bare, as nerdctl runs firewall to learn its version: by its own binary and by its link to the bundle, with standard input closed and with a
// terminal's. What it says is the reference's first line, where somebody reads that, and ours; and of the protocol's versions all that the reference has.
func TestAbout(t *testing.T) {
	t.Parallel()
	reference.Newest.Need(t)
	names, err := filepath.Glob(reference.Newest.Dir + "/*")
	must(t, err)
	if len(names) < 18 {
		t.Fatalf("the reference has %d plugins", len(names))
	}
	for _, path := range names {
		name := filepath.Base(path)
		theirs := bareRun(t, path, nil)
		for _, dir := range []string{os.Getenv(pluginsVar), os.Getenv(bundleVar)} {
			ours := bareRun(t, filepath.Join(dir, name), nil)
			if at := bareRun(t, filepath.Join(dir, name), terminal(t)); !slices.Equal(ours, at) {
				t.Errorf("%s: at a terminal it says %q, else %q", name, at, ours)
			}
			if name == "firewall" {
				if ours[0] != theirs[0] {
					t.Errorf("its first line is %q, the reference's %q", ours[0], theirs[0])
				}
				ours = ours[1:]
			}
			if len(ours) != 2 || !strings.HasPrefix(ours[0], "CNI "+name+" plugin, trestle ") {
				t.Errorf("%s says %q", name, ours)
				continue
			}
			spoken := spokenIn(ours[1])
			for _, version := range spokenIn(theirs[1]) {
				if !slices.Contains(spoken, version) {
					t.Errorf("%s speaks %q, not %s as the reference", name, spoken, version)
				}
			}
		}
	}
}

// spokenIn are the versions in what a bare run says last.
func spokenIn(line string) []string {
	return strings.Split(strings.TrimPrefix(line, "CNI protocol versions supported: "), ", ")
}

// bareRun are the lines that the plugin says without a command; without an input it has none that is open.
func bareRun(t *testing.T, path string, input *os.File) []string {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", `exec "$0" <&-`, path)
	if input != nil {
		cmd = exec.Command(path)
		cmd.Stdin = input
	}
	cmd.Env = []string{"PATH=/none"}
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil || out.Len() > 0 {
		t.Fatalf("%s: %v: %s%s", path, err, out.Bytes(), said.Bytes())
	}
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	if len(lines) < 2 {
		t.Fatalf("%s says %q", path, lines)
	}
	return lines
}

// terminal is one at which nobody types.
func terminal(t *testing.T) *os.File {
	t.Helper()
	head, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	t.Cleanup(func() { head.Close() })
	must(t, unix.IoctlSetPointerInt(int(head.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(head.Fd()), unix.TIOCGPTN)
	must(t, err)
	tail, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	t.Cleanup(func() { tail.Close() })
	return tail
}
