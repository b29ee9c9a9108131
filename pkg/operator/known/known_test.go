package known_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/operator/conflist"
	"github.com/trestle-cni/trestle/pkg/operator/known"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// told is what is known of an entry, in one line.
func told(text string) string {
	entry := conflist.Parse("a.conf", []byte(text)).Root
	var ranges []string
	for i, set := range known.RangesOf(entry) {
		for _, one := range set {
			if subnet := one.Get("subnet"); subnet != nil {
				ranges = append(ranges, strings.Repeat("+", i)+subnet.Text)
			}
		}
	}
	said := []string{known.BridgeOf(entry), known.ParentOf(entry), strings.Join(ranges, ",") + known.DaemonOf(entry)}
	for word, is := range map[string]bool{"gateway": known.GatewayOf(entry), "masked": known.Masquerades(entry)} {
		if is {
			said = append(said, word)
		}
	}
	return strings.Join(said, " ")
}

// The file that has the ranges is read once for an entry, and not to know whether it reserves.
func TestRangesAreReadOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ranges")
	entry := conflist.Parse("a.conf", []byte(`{"type": "ptp", "ipam": {"type": "host-local", "rangesFrom": "`+file+`"}}`)).Root
	for i, text := range []string{`{"ranges": [[{"subnet": "10.1.0.0/24"}]]}`, `{"ranges": [[{"subnet": "10.2.0.0/24"}]]}`, "torn"} {
		if i == 0 && !known.Reserves(entry) {
			t.Error("it reserves")
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if sets := known.RangesOf(entry); len(sets) != 2 || sets[1][0].Get("subnet").Text != "10.1.0.0/24" {
			t.Errorf("after %s: %d sets", text, len(sets))
		}
	}
}

func TestEntries(t *testing.T) {
	for text, want := range map[string]string{
		`{"type": "bridge"}`: "cni0  ",
		`{"type": "bridge", "bridge": "b0", "isDefaultGateway": true}`: "b0   gateway",
		`{"type": "bridge", "Bridge": "b0", "ipMasq": true}`:           "b0   masked",
		`{"type": "ptp", "bridge": "b0", "isGateway": true}`:           "  ",
		`{"type": "ptp", "ipMasq": true}`:                              "   masked",
		`{"type": "tap"}`:                                              "  ",
		`{"type": "tap", "bridge": "b0"}`:                              "b0  ",
		`{"type": "macvlan"}`:                                          "  ",
		`{"type": "vlan", "master": "eth0"}`:                           " eth0 ",
		`{"type": "weave-net", "ipMasq": true, "bridge": "weave"}`:     "  ",
		`{"type": "nobody", "ipMasq": true, "master": "x"}`:            "  ",
		`{"type": "ptp", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24", "ranges": [[{"subnet": "10.2.0.0/24"}, {"subnet": "10.3.0.0/24"}]]}}`: "  10.1.0.0/24,+10.2.0.0/24,+10.3.0.0/24",
		`{"type": "ptp", "ipam": {"type": "whereabouts", "subnet": "10.1.0.0/24"}}`:                                                                    "  ",
		`{"type": "ptp", "ipam": {}}`:                                                        "  ",
		`{"type": "ptp", "ipam": {"type": "dhcp"}}`:                                          "  /run/cni/dhcp.sock",
		`{"type": "ptp", "ipam": {"type": "dhcp", "DaemonSocketPath": "/run/d.sock"}}`:       "  /run/d.sock",
		`{"type": "ptp", "ipam": {"type": "host-local", "daemonSocketPath": "/run/d.sock"}}`: "  ",
		`{}`: "  ",
	} {
		if diff := cmp.Diff(want, told(text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

// A GC where nothing is known but the name asks those plugins alone that are there, and each by a configuration with its type.
func TestEverything(t *testing.T) {
	all := known.Everything(func(string) bool { return true })
	one := known.Everything(func(name string) bool { return name == "portmap" })
	if len(one) != 1 || string(one[0]) != `{"type":"portmap"}` || len(all) <= len(one) {
		t.Errorf("%s, of %s", one, all)
	}
	if ground := known.Ground("b0"); len(ground) != 1 || string(ground[0]) != `{"bridge":"b0","isGateway":true,"type":"bridge"}` {
		t.Errorf("%s", ground)
	}
}

// The spine knows who gives addresses, and who is asked for them early, and the table says the same.
func TestSpineAgrees(t *testing.T) {
	for _, name := range known.Names() {
		part := known.Of(name).Part
		if none := plugin.GivesNone(name) != nil; part != known.Stranger && none == (part == known.Address) {
			t.Errorf("%s: gives no addresses %t, and its part is %d", name, none, part)
		}
		k, err := keys.Parse([]byte(`{"ipam": {"type": "` + name + `"}}`))
		if err != nil {
			t.Fatal(err)
		}
		if attach.Early(k) && part != known.Address {
			t.Errorf("%s: is asked early, and its part is %d", name, part)
		}
	}
}

// No two entries have one name, nor a plugin of the suite that of a stranger.
func TestNamesAreUnique(t *testing.T) {
	seen := make(map[string]bool)
	for _, name := range known.Names() {
		if seen[name] {
			t.Errorf("%s: twice", name)
		}
		seen[name] = true
	}
}
