package ipam

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
)

// Where mount namespaces have no numbers, either, a name must do that is gone from its directory. What looks like that directory, or like the name, proves nothing.
func TestDeathOfAName(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		boot := [16]byte{1}
		netns := nstest.Namespace(t, "c1")
		r := record{boot: boot, kind: recordDirectory, path: netns}
		var there bool
		var err error
		r.where, there, err = inDirectory(netns)
		must(t, err)
		expect := func(what, want string) {
			t.Helper()
			if got := r.death(boot); got != want {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		const gone = "its network namespace /run/netns/c1 is gone"
		if !there {
			t.Error("a name that is there is not seen")
		}
		expect("alive", "")

		must(t, unix.Mount("tmpfs", "/run/netns", "tmpfs", 0, "mode=755")) // as where others have mounted something else
		expect("another file system there", "")
		must(t, unix.Unmount("/run/netns", 0))
		must(t, os.Rename("/run/netns", "/run/aside"))
		expect("no directory", "")
		must(t, os.Mkdir("/run/netns", 0o755))
		expect("another directory there", "")
		must(t, os.Remove("/run/netns"))
		must(t, os.Rename("/run/aside", "/run/netns"))
		expect("as before", "")

		must(t, unix.Mount("/run/netns", "/var/lib", "", unix.MS_BIND, "")) // without what is mounted in it
		r.path = "/var/lib/c1"
		expect("the name alone", "")
		r.path = netns

		nstest.Remove(t, netns)
		expect("dead", gone)
		apart(t, func() { expect("dead, seen from other mounts", gone) })
		nstest.Namespace(t, "c1")
		expect("another one of that name", "")
	})
}

// apart runs f in a mount namespace of its own, on a thread that ends with it.
func apart(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS)
		if err == nil {
			f()
		}
		done <- err
	}()
	must(t, <-done)
}

// A name that is a link leads elsewhere.
func TestDeathOfALink(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Symlink("/proc/self/ns/net", dir+"/link"))
	if _, _, err := inDirectory(dir + "/link"); err == nil {
		t.Error("a link counts as a name")
	}
}
