package hostlocal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const dual = `"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]]`

// A DEL leaves nothing of the container's interface but the round, whatever it is given beside its name.
func TestDel(t *testing.T) {
	for _, c := range []struct{ name, config string }{
		{"same", network("1.1.0", dual)},
		{"other ranges", network("1.1.0", `"subnet": "10.9.0.0/24"`)},
		{"broken ranges", network("1.1.0", `"ranges": [[{"subnet": "10.1.0.0/99"}]], "routes": 7, "resolvConf": "/nowhere"`)},
		{"broken runtimeConfig", strings.Replace(network("1.1.0", dual), `"type"`, `"runtimeConfig": 5, "type"`, 1)},
	} {
		dir := t.TempDir()
		add := call{command: "ADD", config: network("1.1.0", dual), dir: dir}
		add.run(t)
		other := call{command: "ADD", ifName: "eth1", config: network("1.1.0", dual), dir: dir}
		other.run(t)
		for range 2 {
			if a := (call{command: "DEL", args: "rubbish", config: c.config, dir: dir}).run(t); a.status != 0 || a.out != "" {
				t.Errorf("%s: %s", c.name, a.out)
			}
		}
		want := []string{"/net/10.1.0.3", "/net/fd00::3"}
		if diff := cmp.Diff(want, reservations(t, dir)); diff != "" {
			t.Errorf("%s: reservations (-want +got):\n%s", c.name, diff)
		}
	}
}

// reservations returns the paths of the files that are not the layout's own.
func reservations(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*[.:]*"))
	must(t, err)
	var names []string
	for _, path := range paths {
		if name := strings.TrimPrefix(path, dir); !strings.Contains(name, "last_reserved_ip") {
			names = append(names, name)
		}
	}
	return names
}

// Where the data directory cannot be known, an ADD was refused, and a DEL has nothing to release. Where the network has none, it succeeds and makes none.
func TestDelWithoutDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	c := call{command: "DEL", config: `{"cniVersion": "1.1.0", "name": "net", "ipam": {"dataDir": ["%DIR%"]}}`, dir: dir}
	if a := c.run(t); a.status != 0 {
		t.Errorf("dataDir is a list: %s", a.out)
	}
	for _, command := range []string{"DEL", "GC", "STATUS"} {
		c := call{command: command, config: strings.Replace(network("1.1.0", dual), "{", `{"cni.dev/valid-attachments": [], `, 1), dir: dir}
		if a := c.run(t); a.status != 0 {
			t.Errorf("%s: %s", command, a.out)
		}
	}
	c = call{command: "CHECK", config: network("1.1.0", dual), dir: dir}
	if a := c.run(t); a.code(t) != 102 {
		t.Errorf("CHECK: %s, want code 102", a.out)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("they made the directory")
	}
}

// Files of very old versions name the container only.
func TestLegacyFiles(t *testing.T) {
	dir := t.TempDir()
	put := func(name, content string) {
		must(t, os.WriteFile(filepath.Join(dir, "net", name), []byte(content), 0o600))
	}
	must(t, os.Mkdir(filepath.Join(dir, "net"), 0o755))
	put("10.1.0.7", "ctr1\n")
	put("note", "ctr1")
	put("last_reserved_ip.0", "ctr1")
	config := network("1.1.0", dual)
	if a := (call{command: "ADD", config: config, dir: dir}).run(t); a.code(t) != 100 {
		t.Errorf("ADD: %s, want code 100", a.out)
	}
	if a := (call{command: "CHECK", config: config, dir: dir}).run(t); a.status != 0 {
		t.Errorf("CHECK: %s", a.out)
	}
	put("10.1.0.8", "ctr1\r\neth0")
	for _, want := range []string{"10.1.0.7", ""} {
		if a := (call{command: "DEL", config: config, dir: dir}).run(t); a.status != 0 {
			t.Errorf("DEL: %s", a.out)
		}
		if got := strings.TrimPrefix(strings.Join(reservations(t, dir), " "), "/net/"); got != want {
			t.Errorf("after DEL: %s, want %s", got, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "net", "note")); err != nil {
		t.Errorf("a file that is no reservation went: %v", err)
	}
}

func TestCheck(t *testing.T) {
	prev := func(ips string) string {
		return strings.Replace(network("1.1.0", dual), "{", `{"prevResult": {"cniVersion": "1.1.0", "interfaces":
			[{"name": "eth0"}, {"name": "eth0", "sandbox": "/x"}, {"name": "eth1", "sandbox": "/x"}], "ips": [`+ips+`]}, `, 1)
	}
	const ours = `{"address": "10.1.0.2/24", "interface": 1}, {"address": "fd00::2/64", "interface": 1}`
	for _, c := range []struct{ name, config, want string }{
		{"as it was", prev(ours), ""},
		{"without a prevResult", network("1.1.0", dual), ""},
		{"without interfaces", prev(`{"address": "10.1.0.2/24"}, {"address": "fd00::2/64"}`), ""},
		{"other plugins' addresses", prev(ours + `, {"address": "192.0.2.1/24", "interface": 1}, {"address": "10.1.0.9/24", "interface": 2},
			{"address": "10.1.0.1/24", "interface": 0}`), ""},
		{"ranges changed", strings.Replace(prev(ours), "10.1.0.0/24", "10.7.0.0/24", 1), ""},
		{"one missing", prev(ours + `, {"address": "10.1.0.3/24", "interface": 1}`), "10.1.0.3: expected reserved by ctr1/eth0, found reserved by nobody"},
		{"another's", prev(ours + `, {"address": "10.1.0.4/24", "interface": 1}`), "10.1.0.4: expected reserved by ctr1/eth0, found reserved by ctr2/eth0"},
		{"one too many", prev(`{"address": "10.1.0.2/24", "interface": 1}`),
			"fd00::2: reserved by ctr1/eth0, but prevResult gives eth0 no such address"},
	} {
		dir := t.TempDir()
		call{command: "ADD", config: network("1.1.0", dual), dir: dir}.run(t)
		call{command: "ADD", id: "ctr2", args: "IP=10.1.0.4", config: network("1.1.0", dual), dir: dir}.run(t)
		a := call{command: "CHECK", config: c.config, dir: dir}.run(t)
		if c.want == "" && a.status == 0 && a.out == "" {
			continue
		}
		if c.want == "" || a.code(t) != 102 || a.addrs(t) != c.want {
			t.Errorf("%s: %s, want %q", c.name, a.out, c.want)
		}
	}
}

func TestCheckNothing(t *testing.T) {
	dir := t.TempDir()
	call{command: "ADD", config: network("1.1.0", dual), dir: dir}.run(t)
	a := call{command: "CHECK", ifName: "eth1", config: network("1.1.0", dual), dir: dir}.run(t)
	if a.code(t) != 102 || a.addrs(t) != "ctr1/eth1: holds no address" {
		t.Errorf("%s, want code 102", a.out)
	}
}

func TestGC(t *testing.T) {
	for _, c := range []struct{ name, valid, want string }{
		{"two of three", `"cni.dev/valid-attachments": [{"containerID": "ctr1", "ifname": "eth0"}, {"containerID": "ctr2", "ifname": "net1"}],`,
			"10.1.0.2 10.1.0.4 fd00::2"},
		{"historical key", `"cni.dev/attachments": [{"containerID": "ctr1", "ifname": "eth1"}],`, "10.1.0.3 fd00::3"},
		{"legacy kept for any interface", `"cni.dev/valid-attachments": [{"containerID": "old", "ifname": "eth7"}],`, "10.1.0.9"},
		{"empty list", `"cni.dev/valid-attachments": [],`, ""},
		{"null", `"cni.dev/valid-attachments": null,`, ""},
		{"key absent", ``, "10.1.0.2 10.1.0.3 10.1.0.4 10.1.0.8 10.1.0.9 fd00::2 fd00::3"},
	} {
		dir := t.TempDir()
		config := network("1.1.0", dual)
		call{command: "ADD", config: config, dir: dir}.run(t)
		call{command: "ADD", ifName: "eth1", config: config, dir: dir}.run(t)
		call{command: "ADD", id: "ctr2", ifName: "net1", config: network("1.1.0", `"subnet": "10.1.0.0/24"`), dir: dir}.run(t)
		must(t, os.WriteFile(filepath.Join(dir, "net", "10.1.0.9"), []byte("old"), 0o600))
		must(t, os.WriteFile(filepath.Join(dir, "net", "10.1.0.8"), nil, 0o600))
		must(t, os.WriteFile(filepath.Join(dir, "net", "my.note"), []byte("ctr3\r\neth0"), 0o600))
		a := call{command: "GC", config: strings.Replace(config, "{", "{"+c.valid, 1), dir: dir}.run(t)
		if a.status != 0 {
			t.Errorf("%s: %s", c.name, a.out)
		}
		var got []string
		for _, name := range reservations(t, dir) {
			got = append(got, strings.TrimPrefix(name, "/net/"))
		}
		want := append(strings.Fields(c.want), "my.note")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestStatus(t *testing.T) {
	const small = `"subnet": "10.1.0.0/30"`
	dir := t.TempDir()
	if a := (call{command: "STATUS", config: network("1.1.0", small), dir: dir}).run(t); a.status != 0 || a.log != "" {
		t.Errorf("free: %d %s%s", a.status, a.out, a.log)
	}
	call{command: "ADD", config: network("1.1.0", small), dir: dir}.run(t)
	a := call{command: "STATUS", config: network("1.1.0", small), dir: dir}.run(t)
	if want := "trestle host-local: range set 10.1.0.1-10.1.0.2: no address is free\n"; a.status != 0 || a.log != want {
		t.Errorf("full: %d %s%s, want 0 and the line %s", a.status, a.out, a.log, want)
	}
	a = call{command: "STATUS", config: network("1.1.0", small+`, "statusWhenFull": "error"`), dir: dir}.run(t)
	if a.code(t) != 50 {
		t.Errorf("full with statusWhenFull error: %s, want code 50", a.out)
	}
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for _, bad := range []string{file, filepath.Join(file, "below")} {
		if a := (call{command: "STATUS", config: network("1.1.0", small), dir: bad}).run(t); a.code(t) != 50 {
			t.Errorf("%s: %s, want code 50", bad, a.out)
		}
	}
}

// A runtime that ends the call, or that cannot read the answer, is left without a reservation.
func TestInterrupted(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a := (call{command: "ADD", config: network("1.1.0", dual), dir: dir}).runContext(ctx); a.code(t) != 105 {
		t.Errorf("ended: %s, want code 105", a.out)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	must(t, err)
	defer full.Close()
	if status := (call{command: "ADD", config: network("1.1.0", dual), dir: dir}).runTo(t, full); status != 1 {
		t.Errorf("unreadable answer: exit status %d", status)
	}
	if left := reservations(t, dir); len(left) > 0 {
		t.Errorf("left: %s", left)
	}
}

// The result is in the configuration's version.
func TestResultVersions(t *testing.T) {
	const ipam = dual + `, "routes": [{"dst": "0.0.0.0/0"}]`
	const modern = `{"ips":[{"address":"10.1.0.2/24","gateway":"10.1.0.1"},{"address":"fd00::2/64","gateway":"fd00::1"}],"routes":[{"dst":"0.0.0.0/0"}]`
	const middle = `{"ips":[{"version":"4","address":"10.1.0.2/24","gateway":"10.1.0.1"},{"version":"6","address":"fd00::2/64","gateway":"fd00::1"}],` +
		`"routes":[{"dst":"0.0.0.0/0"}],"dns":{}`
	const old = `{"ip4":{"ip":"10.1.0.2/24","gateway":"10.1.0.1","routes":[{"dst":"0.0.0.0/0"}]},"ip6":{"ip":"fd00::2/64","gateway":"fd00::1"},"dns":{}`
	for version, want := range map[string]string{"0.1.0": old, "0.2.0": old, "0.3.0": middle, "0.3.1": middle, "0.4.0": middle, "1.0.0": modern, "1.1.0": modern} {
		a := call{command: "ADD", config: network(version, ipam), dir: t.TempDir()}.run(t)
		want += fmt.Sprintf(`,"cniVersion":%q}`, version)
		if diff := cmp.Diff(normal(t, want), normal(t, a.out)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", version, diff)
		}
	}
}
