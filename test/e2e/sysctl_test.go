package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/test/nstest"
)

// TestSysctlBeforeUp asks for addr_gen_mode, which has an effect only when an interface comes up: set before, there is no link-local address. A plugin that makes the
// interface sets it by its own key, and a list in one process by the tuning that comes later; in separate processes that is too late.
func TestSysctlBeforeUp(t *testing.T) {
	const setting = `"sysctl": {"net.ipv6.conf.IFNAME.addr_gen_mode": "1", "net/ipv4/conf/IFNAME/arp_filter": "1"}`
	const ipam = `"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}]]}`
	list := func(first, then string) string {
		return `"type": "trestle", "plugins": [{` + first + `}, {` + then + `}]`
	}
	for name, c := range map[string]struct {
		config string
		early  bool
	}{
		"bridge":                 {`"type": "bridge", ` + setting + `, ` + ipam, true},
		"bridge without address": {`"type": "bridge", ` + setting, true},
		"ptp":                    {`"type": "ptp", ` + setting + `, ` + ipam, true},
		"ptp without address":    {`"type": "ptp", ` + setting, true},
		"list":                   {list(`"type": "bridge", `+ipam, `"type": "tuning", `+setting), true},
		"list of ptp":            {list(`"type": "ptp", "sysctl": {"net.ipv4.conf.IFNAME.arp_ignore": "1"}, `+ipam, `"type": "tuning", `+setting), true},
		"neither":                {`"type": "bridge", ` + ipam, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				os.Setenv(pluginsVar, os.Getenv(bundleVar))
				nstest.Namespace(t, "c1")
				config := `{"cniVersion": "1.1.0", "name": "net", ` + c.config + `}`
				kind := "bridge"
				for _, other := range []string{"ptp", "trestle"} {
					if strings.HasPrefix(c.config, `"type": "`+other) {
						kind = other
					}
				}
				result := string(succeed(t, "ADD", kind, "c1", config).Out)
				must(t, nstest.In(netnsDir+"c1", func() error {
					text, err := os.ReadFile("/proc/thread-self/net/if_inet6")
					if has := strings.Contains(string(text), "fe80"); has == c.early {
						t.Errorf("link-local address %v:\n%s", has, text)
					}
					return err
				}))
				succeed(t, "CHECK", kind, "c1", strings.TrimSuffix(config, "}")+`, "prevResult": `+result+`}`)
				succeed(t, "DEL", kind, "c1", config)
			})
		})
	}
}
