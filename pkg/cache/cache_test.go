package cache

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const whole = `{"kind":"cniCacheV1","containerId":"c1","config":"eyJuYW1lIjoibmV0In0=","ifName":"eth0","networkName":"net","netns":"/run/netns/c1",
	"cniArgs":[["IgnoreUnknown","1"],["K8S_POD_NAME","web"]],"capabilityArgs":{"portMappings":[{"hostPort":80}]},
	"result":{"interfaces":[{"name":"br0"},{"name":"veth1"},{"name":"eth0","sandbox":"/run/netns/c1"},{"name":"veth2","sandbox":"/run/netns/c1"}]}}`

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "net-c1-eth0", whole)
	entries, err := Read(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%+v, %v", entries, err)
	}
	e := entries[0]
	if diff := cmp.Diff([]string{"net", "c1", "eth0", "/run/netns/c1", "IgnoreUnknown=1;K8S_POD_NAME=web", `{"name":"net"}`, `[{"hostPort":80}]`},
		[]string{e.Network, e.ContainerID, e.IfName, e.Netns, e.Args, string(e.List), string(e.Capabilities["portMappings"])}); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"veth1"}, e.HostLinks()); diff != "" {
		t.Error(diff)
	}
	if own := Of(dir, "", "c1"); len(own) != 1 {
		t.Errorf("of c1: %+v", own)
	}
	if none := Of(dir, "net", "c"); len(none) != 0 {
		t.Errorf("of c: %+v", none)
	}
}

// What cannot be read is named, and hides nothing that can.
func TestReadBeside(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "net-c1-eth0", whole)
	write(t, dir, "net-c2-eth0", whole[:100])
	write(t, dir, "net-c3-eth0", "")
	write(t, dir, "net-c4-eth0", `{"cniVersion":"1.0.0"}`)
	write(t, dir, "net-c5-eth0", `{"kind":"cniCacheV1"}`)
	if err := os.Mkdir(filepath.Join(dir, "net-c6-eth0"), 0o700); err != nil {
		t.Fatal(err)
	}
	entries, err := Read(dir)
	if len(entries) != 1 || err == nil {
		t.Fatalf("%+v, %v", entries, err)
	}
	for _, name := range []string{"net-c2-eth0", "net-c3-eth0", "net-c4-eth0: kind", "net-c5-eth0: no network", "net-c6-eth0: not a regular file"} {
		if !strings.Contains(err.Error(), filepath.Join(dir, name)) {
			t.Errorf("%v: does not name %s", err, name)
		}
	}
}

// Older versions of libcni do not write the namespace, so it is read out of the result.
func TestNamespaceOfTheResult(t *testing.T) {
	for name, c := range map[string]struct{ result, want string }{
		"lo":              {`{"interfaces":[{"name":"lo","sandbox":"/var/run/netns/c1"}]}`, "/var/run/netns/c1"},
		"pair":            {`{"interfaces":[{"name":"br0"},{"name":"veth1"},{"name":"eth0","sandbox":"/run/netns/c1"}]}`, "/run/netns/c1"},
		"virtual machine": {`{"interfaces":[{"name":"tap0"},{"name":"eth0","sandbox":"vm-1"}]}`, ""},
		"before 0.3.0":    {`{"cniVersion":"0.2.0","ip4":{"ip":"10.1.0.2/24"}}`, ""},
		"no result":       {`null`, ""},
		"not readable":    {`{"interfaces":7}`, ""},
	} {
		dir := t.TempDir()
		write(t, dir, "net-c1-eth0", `{"kind":"cniCacheV1","containerId":"c1","ifName":"eth0","networkName":"net","result":`+c.result+`}`)
		entries, err := Read(dir)
		if err != nil || len(entries) != 1 {
			t.Fatalf("%s: %+v, %v", name, entries, err)
		}
		if got := entries[0].Netns; got != c.want {
			t.Errorf("%s: expected %q, found %q", name, c.want, got)
		}
	}
}

func TestNoDirectory(t *testing.T) {
	if entries, err := Read(filepath.Join(t.TempDir(), "none")); len(entries) != 0 || err != nil {
		t.Errorf("%+v, %v", entries, err)
	}
}
