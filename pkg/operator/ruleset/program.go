package ruleset

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coreos/go-iptables/iptables"
)

// Program is a tool of iptables on this host, as the backend iptables would run it.
type Program struct {
	Name    string // iptables or ip6tables
	Path    string // empty: it is not there
	Flavour Flavour
	Version [3]int
	Fault   string // why it is of no use; empty: it is
}

// oldest is the version from which on iptables-restore waits for others of its kind (--wait).
var oldest = [3]int{1, 6, 2}

// Programs looks for the tools of both families. Each is run, and asked for the table nat: it may be there and not be able to read it.
func Programs() []Program {
	return []Program{findProgram("iptables", iptables.ProtocolIPv4), findProgram("ip6tables", iptables.ProtocolIPv6)}
}

func findProgram(name string, family iptables.Protocol) Program {
	p := Program{Name: name, Path: "/usr/sbin/" + name} // where a runtime's PATH may not lead
	if path, err := exec.LookPath(name); err == nil {
		p.Path = path
	} else if !exists(p.Path) {
		return Program{Name: name, Fault: "not found"}
	}
	p.Flavour = flavourOf(p.Path)
	tool, err := iptables.New(iptables.IPFamily(family), iptables.Path(p.Path))
	if err != nil {
		p.Fault = oneLine(err)
		return p
	}
	p.Version[0], p.Version[1], p.Version[2] = tool.GetIptablesVersion()
	if slices.Compare(p.Version[:], oldest[:]) < 0 {
		p.Fault = fmt.Sprintf("version %d.%d.%d: iptables-restore does not wait for others before %d.%d.%d", p.Version[0], p.Version[1], p.Version[2],
			oldest[0], oldest[1], oldest[2])
	} else if _, err := tool.ListChains("nat"); err != nil {
		p.Fault = oneLine(err)
	}
	return p
}

// flavourOf tells by the program that the name leads to where the rules go.
func flavourOf(path string) Flavour {
	if real, err := filepath.EvalSymlinks(path); err == nil && filepath.Base(real) == "xtables-nft-multi" {
		return Compat
	}
	return Legacy
}

// oneLine is what a tool complained of, without the call that it was.
func oneLine(err error) string {
	text := err.Error()
	if _, after, found := strings.Cut(text, "]: exit status "); found {
		_, text, _ = strings.Cut(after, ": ")
	}
	return strings.Join(strings.Fields(text), " ")
}
