package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// remembering are networks whose plugins write something down of a container that lives, and where.
var remembering = map[string]struct{ file, plugins, notes string }{
	"device": {"83-nic.conflist", `{"type": "host-device", "device": "ens5", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}`, "/run/cni/trestle/devices/*.json"},
	"tuned":  {"", `{"type": "ptp", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}, {"type": "tuning", "mtu": 1400}`, "/run/cni/tuning/*.json"},
	"leased": {"88-leased.conflist", `{"type": "macvlan", "master": "lan0", "ipam": {"type": "dhcp"}}`, "/run/cni/dhcp.leases/*.json"},
}

// TestPlantedInLife puts something in the place of what was written down of a container that lives, or tears it. A GC, REPAIR and CHECK leave the container in peace;
// a DEL ends it, or says what is in the way, and once that is gone it leaves nothing: a device is home, under its own name.
func TestPlantedInLife(t *testing.T) {
	t.Parallel()
	all := map[string]func(path, victim string) error{
		"torn":    func(path, _ string) error { return os.WriteFile(path, []byte(`{"mtu": 14`), 0o600) },
		"empty":   func(path, _ string) error { return os.WriteFile(path, nil, 0o600) },
		"another": func(path, _ string) error { return os.WriteFile(path, []byte(`{}`), 0o600) },
	}
	for kind, plant := range plants {
		all[kind] = plant
	}
	for name := range remembering {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) { plantInLife(t, name, all) })
		})
	}
}

func plantInLife(t *testing.T, name string, all map[string]func(path, victim string) error) {
	network := remembering[name]
	list, err := libcni.ConfListFromBytes(fmt.Appendf(nil, `{"cniVersion": "1.0.0", "name": "net", "plugins": [%s]}`, network.plugins))
	must(t, err)
	s := &settled{newStreet(t), libcni.NewCNIConfigWithCacheDir([]string{os.Getenv(pluginsVar)}, "/var/lib/cni", nil), list, ""}
	s.hangs(network.file)
	s.container("c0")
	rt := s.runtime(0)
	del := func() error { return s.cni.DelNetworkList(t.Context(), list, rt) }
	add := func() {
		t.Helper()
		_, err := s.cni.AddNetworkList(t.Context(), list, rt)
		must(t, err)
	}
	add()
	must(t, del())
	before := snapshot.Take(t, rt.NetNS)
	for kind, plant := range all {
		add()
		notes, err := filepath.Glob(network.notes)
		must(t, err)
		if len(notes) != 1 {
			t.Fatalf("%s: %v, want one file", network.notes, notes)
		}
		attached, victim := snapshot.Take(t, rt.NetNS), "/run/victim"
		must(t, os.WriteFile(victim, []byte("precious"), 0o600))
		must(t, os.Remove(notes[0]))
		must(t, plant(notes[0], victim))
		for _, words := range []string{"gc --yes", "repair", "doctor --fix --yes --conf-dir /etc/cni/net.d"} {
			if out, err := s.ends(strings.Fields(words)...); strings.Contains(string(out), "remove attachment") {
				t.Errorf("%s: trestle %s: %v: %s", kind, words, err, out)
			}
		}
		if diff := snapshot.Diff(attached, snapshot.Take(t, rt.NetNS)); diff != "" {
			t.Errorf("%s: who lives was touched:\n%s", kind, diff)
		}
		lost := false
		if err := del(); err != nil {
			lost = true
			if !strings.Contains(err.Error(), notes[0]) || kind == "torn" || kind == "empty" || kind == "another" {
				t.Errorf("%s: DEL: %v", kind, err)
			}
			must(t, os.RemoveAll(notes[0]))
			must(t, del())
		}
		must(t, os.RemoveAll(notes[0])) // what was planted there, and is nobody's of ours
		if text, err := os.ReadFile(victim); string(text) != "precious" || err != nil {
			t.Errorf("%s: the other's file has %q, %v", kind, text, err)
		}
		want, left := before, snapshot.Take(t, rt.NetNS)
		if lost {
			want, left = asKnown(want), asKnown(left)
		}
		if diff := snapshot.Diff(want, left); diff != "" {
			t.Fatalf("%s: left:\n%s", kind, diff)
		}
	}
}

// asKnown is the snapshot less what is known of a device by its file alone, where somebody had to remove that: that it was up.
func asKnown(text string) string {
	return regexp.MustCompile(`(?m)^(host link ens5 .*) up$`).ReplaceAllString(text, "$1")
}
