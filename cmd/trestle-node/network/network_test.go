package network

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/operator/conflist"
)

func four() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("10.0.1.0/24")} }

// made is a network whose plugins are there.
func made(t *testing.T) Network {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"bridge", "portmap", "host-local", "ptp"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return Network{Name: "pods", Ranges: "/run/cni/blocks/pods.json", Conflist: filepath.Join(dir, "net.d/10-pods.conflist"), Plugins: dir, Exclude: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/32")}}
}

// Ours is a list of which nobody complains, whatever the families and the MTU.
func TestOurs(t *testing.T) {
	six := netip.MustParsePrefix("fd00:0:1::/64")
	for _, h := range []Host{{CIDRs: four()}, {CIDRs: []netip.Prefix{six}, MTU: 1450}, {CIDRs: append(four(), six)}} {
		n := made(t)
		if changed, err := n.Put(h); err != nil || !changed {
			t.Fatal(changed, err)
		}
		if changed, err := n.Put(h); err != nil || changed {
			t.Errorf("a second time: %v, %v", changed, err)
		}
		text, err := os.ReadFile(n.Conflist)
		if err != nil {
			t.Fatal(err)
		}
		if list := conflist.Parse(n.Conflist, text); len(list.Complaints) > 0 {
			t.Errorf("%v\n%s", list.Complaints, text)
		}
		if strings.Contains(string(text), "mtu") != (h.MTU > 0) || strings.Count(string(text), "dst") != len(h.CIDRs) {
			t.Errorf("%+v: %s", h, text)
		}
		if info, err := os.Stat(n.Conflist); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	}
}

// A template of somebody's own may have all that is known; what is no list of this network is never put.
func TestTemplate(t *testing.T) {
	const ipam = `"ipam": {"type": "host-local", "rangesFrom": {{json .Ranges}}}`
	for text, want := range map[string]string{
		`{"name": {{json .Name}}, "plugins": [{"type": "ptp", "x": {{json .Node}}, "y": {{json .CIDRs}}, ` + ipam + `}]}`: "",
		`{"name": "web", "plugins": [{"type": "ptp", ` + ipam + `}]}`:                                                     `must be that of the network, "pods"`,
		`{"name": "pods", "plugins": [{"type": "ptp", "ipam": {"type": "host-local"}}]}`:                                  `no plugin of the list has "rangesFrom"`,
		`{"name": "pods", "plugins": [`: "unexpected end of JSON",
		`{{.Zone}}`:                     "can't evaluate field Zone",
		`{{`:                            "unclosed action",
		`{"name": "pods", "plugins": [{"type": "macvlan", ` + ipam + `}]}`: "has no macvlan",
	} {
		n := made(t)
		n.Template = filepath.Join(t.TempDir(), "template")
		if err := os.WriteFile(n.Template, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := n.Put(Host{Node: "n1", CIDRs: four()})
		if want == "" && err == nil {
			continue
		}
		if err == nil || want == "" || !strings.Contains(err.Error(), want) || fault.Hint(err) == "" {
			t.Errorf("%s: %v, want %q and a remedy", text, err, want)
		}
		if _, err := os.Stat(n.Conflist); err == nil {
			t.Errorf("%s: was put", text)
		}
	}
	n := made(t)
	n.Template = "/none"
	if _, err := n.Put(Host{}); fault.Code(err) != fault.Config {
		t.Error(err)
	}
}

// A node whose CIDR is none of the cluster's has no list: what it sends would be masqueraded.
func TestWithin(t *testing.T) {
	for text, ok := range map[string]bool{"10.0.1.0/24": true, "10.0.0.0/8": true, "10.0.0.0/7": false, "192.168.1.0/24": false, "fd00:1::/64": false, "fd00:0:1::/64": true} {
		n := made(t)
		_, err := n.Put(Host{CIDRs: append(four(), netip.MustParsePrefix(text))})
		if ok != (err == nil) || !ok && (fault.Code(err) != fault.Config || fault.Hint(err) == "" || !strings.Contains(err.Error(), text)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
