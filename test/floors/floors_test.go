// Package floors holds the house to its plan: imports point strictly down, plugins do not know each other, a binary links nothing that it
// does not use, and nothing is larger than a screen. CONTRIBUTING.md says why.
package floors

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/trestle-cni/trestle/"

// floors lists the rooms from the ground up. A room may import rooms of lower floors only. A folder below a listed one is on its floor
// unless it is listed itself.
var floors = [][]string{
	{"pkg/kernel/nlsocket", "pkg/kernel/procfile", "pkg/kernel/plainfile", "pkg/kernel/filelock", "pkg/kernel/xtables", "pkg/kernel/dbus", "pkg/kernel/netns", "pkg/kernel/process", "pkg/order", "pkg/digest"},
	{"pkg/kernel/rtnl", "pkg/kernel/nftconn"},
	{"pkg/deadline", "pkg/fault", "pkg/owner", "pkg/cache", "pkg/phase", "pkg/checksum", "pkg/places", "pkg/operator/budget", "pkg/dhcp/call", "pkg/dhcp/packet", "pkg/dhcp/folder"},
	{"pkg/keys", "pkg/firewall", "pkg/journal", "pkg/gone"},
	{"pkg/firewall/nft", "pkg/firewall/iptables", "pkg/firewall/none", "pkg/firewall/reference", "pkg/firewall/conntrack", "pkg/firewall/firewalld", "pkg/condition", "pkg/ipam", "pkg/backup", "pkg/dhcp/lease", "pkg/lent", "pkg/neighbour"},
	{"pkg/firewall/host", "pkg/upkeep"},
	{"pkg/site"},
	{"pkg/step", "pkg/plan", "pkg/dhcp/daemon"},
	{"pkg/plugin"},
	{"pkg/grant"},
	{"pkg/attach"},
	{"pkg/attach/endpoint"},
	{"pkg/operator/draw", "pkg/operator/ruleset", "pkg/operator/conflist", "pkg/operator/logbook"},
	{"pkg/operator/known"},
	{"pkg/operator/observe", "pkg/operator/trace"},
	{"pkg/operator/page", "pkg/operator/doctor", "pkg/operator/portrait", "pkg/operator/meter"},
	{"pkg/operator/tool"},
	{"plugins"},
	{"cmd", "docs/man"},
}

// libraries are what product code may import beside the standard library: the section "Dependencies" of docs/design.md.
var libraries = []string{
	"github.com/containernetworking/cni/pkg/", "github.com/coreos/go-iptables/", "github.com/vishvananda/netlink",
	"github.com/google/nftables", "github.com/mdlayher/netlink", "golang.org/x/sys/", "github.com/spf13/cobra", "github.com/spf13/pflag",
	"github.com/insomniacslk/dhcp/dhcpv4",
}

type pkg struct {
	ImportPath, Name string
	Imports, Deps    []string
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Imports,Deps", "../../...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var packages []pkg
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// room returns a package's folder in the repository, "" for one that is not ours.
func room(importPath string) string {
	room, ours := strings.CutPrefix(importPath, module)
	if !ours {
		return ""
	}
	return room
}

// forTests says whether the room is part of the tests: no product code may import it.
func forTests(room string) bool {
	return strings.HasPrefix(room, "test/") || strings.HasSuffix(room, "test")
}

func floor(room string) int {
	for room != "." {
		for i, rooms := range floors {
			if slices.Contains(rooms, room) {
				return i
			}
		}
		room = path.Dir(room)
	}
	return -1
}

func TestImportsPointDown(t *testing.T) {
	for _, p := range list(t) {
		from := room(p.ImportPath)
		if forTests(from) {
			continue
		}
		if floor(from) < 0 {
			t.Errorf("%s has no floor: give it one", from)
		}
		for _, importPath := range p.Imports {
			to := room(importPath)
			switch {
			case to == "":
				holdLibrary(t, from, importPath)
			case forTests(to):
				t.Errorf("%s imports %s, which is for tests", from, to)
			case floor(to) >= floor(from):
				t.Errorf("%s (floor %d) imports %s (floor %d)", from, floor(from), to, floor(to))
			}
		}
	}
}

// docs/design.md says of each room what it knows.
func TestEveryRoomIsInTheDesign(t *testing.T) {
	page, err := os.ReadFile("../../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list(t) {
		if r := room(p.ImportPath); strings.HasPrefix(r, "pkg/") && !forTests(r) && !strings.Contains(string(page), "`"+r+"`") {
			t.Errorf("docs/design.md says nothing of %s", r)
		}
	}
}

func holdLibrary(t *testing.T, from, importPath string) {
	t.Helper()
	standard := !strings.Contains(strings.Split(importPath, "/")[0], ".")
	if !standard && !slices.ContainsFunc(libraries, func(l string) bool { return strings.HasPrefix(importPath+"/", l) }) {
		t.Errorf("%s imports %s, which is not among the libraries", from, importPath)
	}
}

// A plugin lives for 2 ms and starts for every container: what it links it pays for.
func TestPluginsLinkLittle(t *testing.T) {
	heavy := []string{
		"net/http", "text/template", "html/template", "testing", "regexp", "github.com/spf13/cobra", "github.com/containernetworking/cni/libcni",
		"github.com/coreos/go-iptables/iptables",
	}
	for _, p := range list(t) {
		name, isCommand := strings.CutPrefix(room(p.ImportPath), "cmd/")
		if !isCommand {
			continue
		}
		for _, dep := range p.Deps {
			other, isPlugin := strings.CutPrefix(room(dep), "plugins/")
			switch {
			case strings.HasPrefix(dep, "github.com/containernetworking/plugins/"):
				t.Errorf("cmd/%s links %s, which is the reference's", name, dep)
			case name == "trestle": // the tool is in it, and each plugin
			case dep == "regexp" && name == "tuning": // what the reference's list of settings is made of
			case slices.Contains(heavy, dep):
				t.Errorf("cmd/%s links %s", name, dep)
			case isPlugin && strings.Split(other, "/")[0] != name:
				t.Errorf("cmd/%s links the plugin %s", name, other)
			case (name == "host-local" || name == "static") && (strings.HasPrefix(room(dep), "pkg/firewall") || room(dep) == "pkg/kernel/rtnl"):
				t.Errorf("cmd/%s links %s, and touches no kernel object", name, room(dep))
			}
		}
	}
}

// The operator's wing stands on the spine, and nothing of the spine leans on it; the kernel's wing knows nothing of CNI, nor of us.
func TestWings(t *testing.T) {
	const operator, kernel = "pkg/operator/", "pkg/kernel/"
	for _, p := range list(t) {
		from := room(p.ImportPath)
		if forTests(from) {
			continue
		}
		mayUseTool := strings.HasPrefix(from, operator) || from == "cmd/trestle" || from == "docs/man"
		for _, dep := range p.Deps {
			to := room(dep)
			if strings.HasPrefix(to, operator) && !mayUseTool {
				t.Errorf("%s depends on %s, which only the operator's tool needs", from, to)
			}
			if strings.HasPrefix(from, kernel) && (to != "" && !strings.HasPrefix(to, kernel) || strings.Contains(dep, "containernetworking")) {
				t.Errorf("%s depends on %s: it speaks to the kernel, and to nobody else", from, dep)
			}
		}
	}
}

// A name that says nothing gathers what belongs nowhere.
func TestRoomsHaveNouns(t *testing.T) {
	for _, p := range list(t) {
		if name := path.Base(p.ImportPath); slices.Contains([]string{"utils", "util", "common", "helpers", "types", "misc", "base"}, name) {
			t.Errorf("%s: a room has a noun for a name", room(p.ImportPath))
		}
	}
}

// TestOneLookSeesAll: `make lint` looks with the tag of the tests that other kernels run. No file is there only without it, or on another machine.
func TestOneLookSeesAll(t *testing.T) {
	out, err := exec.Command("go", "list", "-tags", "kernels", "-f", `{{range .IgnoredGoFiles}}{{$.ImportPath}}/{{.}} {{end}}`, "../../...").Output()
	if err != nil {
		t.Fatal(err)
	}
	if unseen := strings.Fields(string(out)); len(unseen) > 0 {
		t.Errorf("make lint does not see %q", unseen)
	}
}
