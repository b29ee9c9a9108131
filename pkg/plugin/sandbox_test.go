package plugin

import (
	"os"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/nstest"
)

func TestSandbox(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		alive := nstest.Namespace(t, "alive")
		must(t, os.WriteFile("/run/netns/file", nil, 0o600))
		for _, c := range []struct {
			netns    string
			override bool
			want     Sandbox
		}{
			{"", false, SandboxGone},
			{"/run/netns/none", false, SandboxGone},
			{"/run/netns/file", false, SandboxGone},
			{"/run/netns", false, SandboxGone},
			{"/proc/self/ns/mnt", false, SandboxGone},
			{"/proc/self/ns/user", true, SandboxGone},
			{"/proc/self/ns/uts", false, SandboxGone},
			{"/proc/self/status", false, SandboxGone},
			{"/proc/self", false, SandboxGone},
			{alive, false, SandboxAlive},
			{"/proc/self/ns/net", false, SandboxOwnHost},
			{"/proc/1/../self/ns/net", false, SandboxOwnHost},
			{"/proc/self/ns/net", true, SandboxAlive},
		} {
			got, err := (&Request{Netns: c.netns, Override: c.override}).Sandbox()
			if got != c.want || (got != SandboxAlive && fault.Code(err) != fault.Namespace) {
				t.Errorf("%q: %d, %v; want %d", c.netns, got, err, c.want)
			}
		}
	})
}
