package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containernetworking/plugins/pkg/testutils"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/nstest"
)

// speaks says whether the version of the protocol has the verb, by what the reference's tests know of it.
func speaks(version, verb string) bool {
	if verb == "CHECK" {
		return testutils.SpecVersionHasCHECK(version)
	}
	return testutils.SpecVersionHasSTATUS(version) // GC came with it
}

// plugins are all that there are, but for the one that is a list of them.
func plugins(t *testing.T) (names []string) {
	t.Helper()
	pages, err := filepath.Glob("../../plugins/*/README.md")
	must(t, err)
	for _, page := range pages {
		if name := filepath.Base(filepath.Dir(page)); name != "chain" {
			names = append(names, name)
		}
	}
	return names
}

// TestVersions calls every verb of the chain in every version of the protocol.
func TestVersions(t *testing.T) {
	for _, version := range testutils.AllSpecVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				nstest.Namespace(t, "c1")
				bridge := network(`"cniVersion": "` + version + `", "isGateway": true, ` + hostLocal(subnet))
				result := succeed(t, "ADD", "bridge", "c1", bridge).Out
				holdResult(t, version, result)

				portmap := `{"cniVersion": "` + version + `", "name": "net", "type": "portmap", "runtimeConfig": {"portMappings":
					[{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}, "prevResult": ` + string(result) + `}`
				if through := succeed(t, "ADD", "portmap", "c1", portmap).Out; !sameJSON(t, through, result) {
					t.Errorf("portmap changed the result from\n%s\nto\n%s", result, through)
				}
				bridge = `{"prevResult": ` + string(result) + `, ` + bridge[1:]
				for _, verb := range []string{"CHECK", "STATUS"} {
					holdVerb(t, version, verb, "bridge", bridge)
					holdVerb(t, version, verb, "host-local", bridge)
					holdVerb(t, version, verb, "portmap", portmap)
				}
				for range 2 {
					succeed(t, "DEL", "portmap", "c1", portmap)
					succeed(t, "DEL", "bridge", "c1", bridge)
				}
				holdVerb(t, version, "GC", "portmap", portmap)
				holdVerb(t, version, "GC", "bridge", bridge)
				holdVerb(t, version, "GC", "host-local", bridge)
			})
		})
	}
}

// TestLoopbackVersions is TestVersions for a plugin that makes its own result and needs none.
func TestLoopbackVersions(t *testing.T) {
	for _, version := range testutils.AllSpecVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				nstest.Namespace(t, "c1")
				config := `{"cniVersion": "` + version + `", "name": "net", "type": "loopback"}`
				for range 2 { // a link that is up can be asked for twice
					holdLoopback(t, version, succeed(t, "ADD", "loopback", "c1", config).Out)
				}
				for _, verb := range []string{"CHECK", "STATUS", "GC"} {
					holdVerb(t, version, verb, "loopback", config)
				}
				for range 2 {
					succeed(t, "DEL", "loopback", "c1", config)
				}
			})
		})
	}
}

func holdLoopback(t *testing.T, version string, text []byte) {
	t.Helper()
	var result struct {
		CNIVersion string
		IP4, IP6   struct{ IP string }
		Interfaces []struct{ Name string }
		IPs        []struct{ Address string }
	}
	must(t, json.Unmarshal(text, &result))
	four, six := result.IP4.IP, result.IP6.IP
	if len(result.IPs) == 2 && len(result.Interfaces) == 1 && result.Interfaces[0].Name == "lo" {
		four, six = result.IPs[0].Address, result.IPs[1].Address
	}
	if result.CNIVersion != version || four != "127.0.0.1/8" || six != "::1/128" {
		t.Errorf("not lo's addresses in version %s:\n%s", version, text)
	}
}

// holdVerb expects silence of a verb that the version has, and code 1 where it has it not.
func holdVerb(t *testing.T, version, verb, name, config string) {
	t.Helper()
	got, err := invoke(verb, name, "c1", config)
	must(t, err)
	switch {
	case speaks(version, verb) && (got.Status != 0 || len(got.Out) != 0):
		t.Errorf("%s %s: status %d: %s", name, verb, got.Status, got.Out)
	case !speaks(version, verb) && (got.Code != fault.Version || !strings.Contains(got.Msg, version)):
		t.Errorf("%s %s: code %d: %q, want code %d and the version named", name, verb, got.Code, got.Msg, fault.Version)
	}
}

// holdResult expects the shape of a result that the version prescribes.
func holdResult(t *testing.T, version string, text []byte) {
	t.Helper()
	var result struct {
		CNIVersion string
		IP4        *struct{ IP string }
		Interfaces []struct{ Name, Sandbox string }
		IPs        []struct{ Address, Version string }
	}
	must(t, json.Unmarshal(text, &result))
	if result.CNIVersion != version {
		t.Errorf("cniVersion %q of the result, want %q", result.CNIVersion, version)
	}
	if version == "0.1.0" || version == "0.2.0" {
		if result.IP4 == nil || result.IP4.IP != "10.1.0.2/24" || result.IPs != nil {
			t.Errorf("not a result with ip4:\n%s", text)
		}
		return
	}
	if len(result.IPs) != 1 || result.IPs[0].Address != "10.1.0.2/24" || len(result.Interfaces) != 3 || result.Interfaces[2].Name != "eth0" {
		t.Errorf("not a result with one address and three interfaces:\n%s", text)
	}
	if testutils.SpecVersionHasIPVersion(version) != (result.IPs[0].Version == "4") {
		t.Errorf("ips[0].version is %q", result.IPs[0].Version)
	}
}

// TestVersionVerb asks each plugin which versions it speaks; what it reads then does not matter.
func TestVersionVerb(t *testing.T) {
	for _, name := range plugins(t) {
		got := succeed(t, "VERSION", name, "none", "not JSON")
		spoken := testutils.AllSpecVersions[:]
		if name == "firewall" {
			spoken = spoken[2:] // it reads a result that tells addresses apart
		}
		want, err := json.Marshal(map[string]any{"cniVersion": "1.1.0", "supportedVersions": spoken})
		must(t, err)
		if !sameJSON(t, got.Out, want) {
			t.Errorf("%s: %s", name, got.Out)
		}
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var texts [2]string
	for i, text := range [][]byte{a, b} {
		var value any
		must(t, json.Unmarshal(text, &value))
		sorted, err := json.Marshal(value)
		must(t, err)
		texts[i] = string(sorted)
	}
	return texts[0] == texts[1]
}
