package network

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/operator/conflist"
	"github.com/trestle-cni/trestle/test/built"
	"github.com/trestle-cni/trestle/test/reference"
)

// bundle is our plugins.
var bundle string

func TestMain(m *testing.M) {
	os.Exit(built.Run(m, "network", func(folder string) (err error) {
		bundle, err = built.Bundle(folder)
		return err
	}))
}

func four() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("10.0.1.0/24")} }

// made is a network whose plugins are there.
func made(t *testing.T) Network {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"bridge", "portmap", "host-local", "ptp"} {
		if err := os.Symlink(bundle, filepath.Join(dir, name)); err != nil {
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
		if changed, err := n.Put(t.Context(), h); err != nil || !changed {
			t.Fatal(changed, err)
		}
		if changed, err := n.Put(t.Context(), h); err != nil || changed {
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
		_, err := n.Put(t.Context(), Host{Node: "n1", CIDRs: four()})
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
	if _, err := n.Put(t.Context(), Host{}); fault.Code(err) != fault.Config {
		t.Error(err)
	}
}

// A node whose CIDR is none of the cluster's has no list: what it sends would be masqueraded.
func TestWithin(t *testing.T) {
	for text, ok := range map[string]bool{"10.0.1.0/24": true, "10.0.0.0/8": true, "10.0.0.0/7": false, "192.168.1.0/24": false, "fd00:1::/64": false, "fd00:0:1::/64": true} {
		n := made(t)
		_, err := n.Put(t.Context(), Host{CIDRs: append(four(), netip.MustParsePrefix(text))})
		if ok != (err == nil) || !ok && (fault.Code(err) != fault.Config || fault.Hint(err) == "" || !strings.Contains(err.Error(), text)) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Who has a plugin's name must do what the list says: the reference's host-local knows no rangesFrom, and its bridge masquerades to the cluster, too.
func TestAnothersPluginsAreRefused(t *testing.T) {
	reference.Newest.Need(t)
	for _, c := range []struct{ name, file, want string }{
		{"host-local", reference.Newest.Plugin("host-local"), `does not know rangesFrom: it says that it is "CNI host-local plugin v1.10.0", not trestle's`},
		{"bridge", reference.Newest.Plugin("bridge"), `does not know ipMasqExclude: it says that it is "CNI bridge plugin v1.10.0", not trestle's`},
		{"host-local", "/bin/true", `it says that it is "", not trestle's`},
		{"host-local", "/bin", "permission denied"},
		{"portmap", reference.Newest.Plugin("portmap"), ""}, // it is told nothing that it does not know
	} {
		n := made(t)
		path := filepath.Join(n.Plugins, c.name)
		if err := errors.Join(os.Remove(path), os.Symlink(c.file, path)); err != nil {
			t.Fatal(err)
		}
		changed, err := n.Put(t.Context(), Host{CIDRs: four()})
		if c.want == "" {
			if err != nil || !changed {
				t.Errorf("%s: %v, %v", c.file, changed, err)
			}
			continue
		}
		if fault.Code(err) != fault.TryLater || !strings.Contains(err.Error(), path+": ") || !strings.Contains(err.Error(), c.want) || !strings.Contains(fault.Hint(err), "trestle install --replace --bin-dir="+n.Plugins) {
			t.Errorf("%s: %v, with the remedy %q, want %q", c.file, err, fault.Hint(err), c.want)
		}
		if _, err := os.Stat(n.Conflist); err == nil {
			t.Errorf("%s: the list was put", c.file)
		}
	}
}
