package e2e

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// TestReadOnlySettings has plugins work where /proc/sys is mounted for reading alone, as in a container that is itself a host. What is right already
// need not be written, and what nothing depends on is no reason to fail; where something does, the error names the file and the remedy, and nothing
// is left half made.
func TestReadOnlySettings(t *testing.T) {
	const six = `], [{"subnet": "fd00:1::/64"}`
	for name, c := range map[string]struct {
		keys  string
		right []string // keys that have the value 1 before
		needs string   // what cannot be written; empty: the ADD succeeds
	}{
		"IPv4 gateway":         {`"isGateway": true, "ipMasq": true, ` + hostLocal(subnet), []string{"ipv4/ip_forward"}, ""},
		"IPv4 gateway, closed": {`"isGateway": true, ` + hostLocal(subnet), nil, "/proc/sys/net/ipv4/ip_forward"},
		"dual, closed":         {`"isGateway": true, ` + hostLocal(subnet+six), []string{"ipv4/ip_forward"}, "/proc/sys/net/ipv6/conf/all/forwarding"},
		"no gateway, forwards": {hostLocal(subnet), []string{"ipv6/conf/all/forwarding"}, ""}, // who forwards believes no advertisement
		"no gateway":           {hostLocal(subnet), nil, "/proc/sys/net/ipv6/conf/cni0/accept_ra"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				nstest.Namespace(t, "c1")
				for _, key := range c.right {
					must(t, os.WriteFile("/proc/sys/net/"+key, []byte("1"), 0o644))
				}
				must(t, unix.Mount("/proc/sys", "/proc/sys", "", unix.MS_BIND, ""))
				must(t, unix.Mount("", "/proc/sys", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
				before := snapshot.Take(t)
				got, err := invoke("ADD", "bridge", "c1", network(c.keys))
				must(t, err)
				if c.needs == "" {
					if got.Status != 0 {
						t.Fatalf("code %d: %s", got.Code, got.Msg)
					}
					succeed(t, "CHECK", "bridge", "c1", strings.TrimSuffix(network(c.keys), "}")+`, "prevResult": `+string(got.Out)+"}")
					succeed(t, "DEL", "bridge", "c1", network(c.keys))
					return
				}
				if got.Code != fault.Unsupported || !strings.Contains(got.Msg, c.needs) || !strings.Contains(got.Details, "sysctl -w net/") || strings.Contains(got.Details, "/cni0/") {
					t.Errorf("code %d: %s (%s); want %d, %s and a remedy", got.Code, got.Msg, got.Details, fault.Unsupported, c.needs)
				}
				if diff := snapshot.Diff(before, snapshot.Take(t)); diff != "" {
					t.Errorf("left:\n%s", diff)
				}
			})
		})
	}
}
