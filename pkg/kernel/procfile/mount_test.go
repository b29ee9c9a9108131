package procfile

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
)

const forwarding = "net/ipv4/conf/lo/forwarding"

// TestSettings opens settings once, and finds in them those of the namespace in which the thread is at each look.
func TestSettings(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		container := nstest.Namespace(t, "c1")
		sys, err := Settings()
		must(t, err)
		defer unix.Close(sys)
		must(t, nstest.In(container, func() error { return WriteIn(sys, forwarding, "1") }))
		for path, want := range map[string]string{"/proc/thread-self/ns/net": "0", container: "1"} {
			must(t, nstest.In(path, func() error {
				mine, err := ReadIn(sys, forwarding)
				if shared, _ := Read("/proc/sys/" + forwarding); err != nil || string(mine) != string(shared) || strings.TrimSpace(string(mine)) != want {
					t.Errorf("%s: %q, in the shared /proc %q, want %s: %v", path, mine, shared, want, err)
				}
				return nil
			}))
		}
	})
}

// TestSettingsReadOnly holds that whoever made /proc/sys read-only is obeyed: no other way is found around it.
func TestSettingsReadOnly(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		nstest.Program(t, "", "sh", "-c", "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys")
		sys, err := Settings()
		must(t, err)
		defer unix.Close(sys)
		if err := WriteIn(sys, forwarding, "1"); err == nil || !strings.Contains(err.Error(), "read-only") {
			t.Errorf("written: %v", err)
		}
	})
}

var must = nstest.Must
