package e2e

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// sent is a call that a runtime was seen to make: test/runtimes/recording.go writes them.
type sent struct {
	Plugin, Verb string
	Env          map[string]string
	Config       map[string]json.RawMessage
	Status       int
	IPs          []string
}

// TestReplay makes the calls of real runtimes again, without any: each ends as it did there, gives the same addresses, and at the end
// nothing of any container is left.
func TestReplay(t *testing.T) {
	files, err := filepath.Glob("testdata/recorded/*.json")
	must(t, err)
	if len(files) < 8 {
		t.Fatalf("recorded: %d runtimes, want eight", len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) { replay(t, file) })
		})
	}
}

func replay(t *testing.T, file string) {
	content, err := os.ReadFile(file)
	must(t, err)
	var list []sent
	must(t, json.Unmarshal(content, &list))
	namespaces, results, adds := make(map[string]string), make(map[string]json.RawMessage), 0
	for i, call := range list {
		id := call.Env["CNI_CONTAINERID"]
		changes := []string{"CNI_NETNS=" + place(t, namespaces, call)}
		for name, value := range call.Env {
			if name != "CNI_NETNS" {
				changes = append(changes, name+"="+value)
			}
		}
		if call.Config["prevResult"] != nil {
			call.Config["prevResult"] = results[id+call.Env["CNI_IFNAME"]]
		}
		config, err := json.Marshal(call.Config)
		must(t, err)
		r, err := invoke(call.Verb, call.Plugin, id, string(config), changes...)
		must(t, err)
		if r.Status != call.Status {
			t.Fatalf("call %d: %s %s: status %d, want %d:\n%s", i, call.Verb, call.Plugin, r.Status, call.Status, r.Out)
		}
		if call.Verb == "ADD" && call.Plugin != "loopback" {
			results[id+call.Env["CNI_IFNAME"]] = r.Out
			adds++
			if diff := cmp.Diff(call.IPs, given(t, r.Out)); diff != "" {
				t.Fatalf("call %d: %s %s: addresses:\n%s", i, call.Verb, call.Plugin, diff)
			}
		}
	}
	if adds == 0 {
		t.Fatal("nothing was added")
	}
	for line := range strings.Lines(snapshot.Take(t)) {
		f := strings.Fields(line)
		ofBridge := f[1] == "element" && (f[4] == "isolated" || f[4] == "within") // what firewall keeps of a bridge is no container's
		if f[1] == "element" && !ofBridge || f[1] == "reservation" || f[1] == "link" && f[3] == "veth" {
			t.Errorf("left: %s", line)
		}
	}
}

// place returns the namespace that stands for the recorded one, and makes it where it is the first time that it is spoken of. What is no path
// stays: podman's "dummy", and the empty one of a container that has gone.
func place(t *testing.T, known map[string]string, call sent) string {
	path := call.Env["CNI_NETNS"]
	if !strings.HasPrefix(path, "/") {
		return path
	}
	if known[path] == "" {
		known[path] = nstest.Namespace(t, strings.ReplaceAll(strings.TrimPrefix(path, "/"), "/", "-"))
	}
	return known[path]
}

func given(t *testing.T, result []byte) []string {
	var r struct{ IPs []struct{ Address string } }
	must(t, json.Unmarshal(result, &r))
	addresses := make(map[string]bool)
	var list []string
	for _, ip := range r.IPs {
		addresses[ip.Address] = true
		list = append(list, ip.Address)
	}
	if len(slices.Collect(maps.Keys(addresses))) != len(list) {
		t.Fatalf("an address twice: %v", list)
	}
	return list
}
