package hostlocal

import (
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// Whatever the configuration, it is refused or makes sense: every set has a range, every range its bounds in order, and a
// requested address is of its set.
func FuzzConfig(f *testing.F) {
	f.Add(`{"ipam": {"subnet": "10.1.0.0/24"}}`)
	f.Add(`{"ipam": {"ranges": [[{"subnet": "fd00::/126", "rangeStart": "fd00::1", "gateway": ""}], [{"subnet": "0.0.0.0/0"}]]}}`)
	f.Add(`{"IPAM": {"ranges": [null, [null], [[]]], "routes": [{}], "dataDir": 7}, "runtimeConfig": {"ips": ["::/0", "10.1.0.2"]}}`)
	f.Add(`{"ipam": {"subnet": "255.255.255.252/30", "rangeEnd": "255.255.255.255"}, "args": {"cni": {"ips": ["255.255.255.255"]}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		object, err := keys.Parse([]byte(text))
		if err != nil {
			return
		}
		c, err := parse(&plugin.Request{Command: "ADD", Keys: object, Network: "net", Version: "1.1.0"})
		if err != nil {
			return
		}
		for i, set := range c.sets {
			if len(set) == 0 || c.wanted[i].IsValid() && !contains(t, c, i) {
				t.Fatalf("%s: set %d is %s, wanted %s", text, i, set, c.wanted[i])
			}
			for _, r := range set {
				if r.End.Less(r.Start) || !r.Subnet.Contains(r.Start) || !r.Subnet.Contains(r.End) || r.Gateway.BitLen() != r.Start.BitLen() {
					t.Fatalf("%s: range %s of %s, gateway %s", text, r, r.Subnet, r.Gateway)
				}
			}
			for _, other := range c.sets[:i] {
				if set.Overlaps(other) {
					t.Fatalf("%s: %s overlaps %s", text, set, other)
				}
			}
		}
	})
}

func contains(t *testing.T, c config, i int) bool {
	t.Helper()
	_, ok := c.sets[i].Find(c.wanted[i])
	return ok
}

func FuzzResolvConf(f *testing.F) {
	f.Add("nameserver 192.0.2.1\nsearch a b\noptions ndots:5\n# x\n; y\ndomain z")
	f.Fuzz(func(t *testing.T, text string) {
		dns, err := parseResolvConf(strings.NewReader(text))
		for _, word := range append(append(dns.Nameservers, dns.Search...), dns.Options...) {
			if err == nil && (word == "" || strings.ContainsAny(word, " \n\t")) {
				t.Fatalf("%q: %q", text, word)
			}
		}
	})
}
