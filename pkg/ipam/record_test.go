package ipam

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
)

func TestRecord(t *testing.T) {
	boot := [16]byte{1, 2, 3}
	for _, r := range []record{
		{boot: boot},
		{boot: boot, kind: recordHandle, where: 1 << 40, handle: unix.NewFileHandle(0xf1, []byte{1, 0, 255})},
		{boot: boot, kind: recordPath, where: 7, path: "/run/netns/a"},
		{boot: boot, kind: recordDirectory, where: 7, path: "/run/netns/a"},
	} {
		raw := r.encode()
		got, ok := parseRecord(raw)
		if !ok || string(got.encode()) != string(raw) || got.kind != r.kind || got.path != r.path {
			t.Errorf("%+v: read as %+v, %v", r, got, ok)
		}
		for n := range min(len(raw), 26) { // without the handle or the path
			if _, ok := parseRecord(raw[:n]); ok && n < len(raw) {
				t.Errorf("%d of %d bytes were read as a record of kind %d", n, len(raw), r.kind)
			}
		}
	}
}

// A reservation's owner is dead by proof only.
func TestDeathOfANamespace(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		boot, err := bootID()
		must(t, err)
		netns := nstest.Namespace(t, "c1")
		r := recordOf(boot, netns, 0)
		if want := recordable(t); r.kind != want {
			t.Fatalf("record of kind %d, want %d", r.kind, want)
		} else if want != recordHandle {
			return // TestDeathOfAPath and TestDeathOfAName say the rest
		}
		must(t, os.Symlink(netns, "/run/link"))
		if l := recordOf(boot, "/run/link", 0); string(l.encode()) != string(r.encode()) {
			t.Errorf("through a link: %x, want %x", l.encode(), r.encode())
		}
		expect := func(what string, r record, boot [16]byte, want string) {
			t.Helper()
			if got := r.death(boot); got != want {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		const gone, rebooted = "its network namespace is gone", "made in an earlier boot"
		expect("alive", r, boot, "")
		expect("another boot", r, [16]byte{9}, rebooted)
		expect("unknown boot", r, unknownBoot, "")
		stranger := r
		stranger.where++
		file, err := os.Open(netns)
		must(t, err)
		nstest.Remove(t, netns)
		expect("path gone, namespace open", r, boot, "")
		must(t, file.Close())
		expect("dead", r, boot, gone)
		expect("dead, recorded by a stranger", stranger, boot, "")
		nstest.Namespace(t, "c1")
		expect("another one at the same path", r, boot, gone)
		if bare := recordOf(boot, "/run/netns/none", 0); bare.kind != recordBare {
			t.Errorf("no namespace: a record of kind %d", bare.kind)
		}
	})
}

// recordable is what the kernel lets us know of a namespace, in a host of the test's own.
func recordable(t *testing.T) byte {
	switch {
	case nstest.Since(t, 6, 18):
		return recordHandle
	case nstest.Since(t, 6, 11):
		return recordPath
	}
	return recordDirectory // the mounts are not the machine's first process's
}

// Where the kernel has no handles of namespaces, the path must do.
func TestDeathOfAPath(t *testing.T) {
	boot := [16]byte{1}
	where, err := mountNamespace()
	must(t, err)
	path := filepath.Join(t.TempDir(), "netns")
	must(t, os.WriteFile(path, nil, 0o600))
	r := record{boot: boot, kind: recordPath, where: where, path: path}
	if got := r.death(boot); got != "" {
		t.Errorf("there: %q", got)
	}
	must(t, os.Remove(path))
	if got, want := r.death(boot), "its network namespace "+path+" is gone"; got != want {
		t.Errorf("gone: %q, want %q", got, want)
	}
	r.where++
	if got := r.death(boot); got != "" {
		t.Errorf("gone, in another mount namespace: %q", got)
	}
}
