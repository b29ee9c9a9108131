package doctor

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/journal"
)

func runtimeChecks() []Check {
	return []Check{
		{"runtimes-twice", Warning, "a runtime that says which containers live (GC: CRI-O when it starts) names its own, and the plugins take the other's containers off the network",
			(*Picture).runtimesTwice, nil},
		{"log-lost", Warning, "what happens to containers is to be written down, and is not", (*Picture).logLost, nil},
		{"watch-paused", Warning, "what is swept away is not made again, because somebody asked for a rest", (*Picture).watchPaused, nil},
	}
}

// logLost tells of a log that is wanted and cannot be written.
func (p *Picture) logLost() []Finding {
	if p.Log == nil {
		return nil
	}
	return []Finding{{Object: journal.Path, What: "no line of the log can be written: " + p.Log.Error(),
		Remedy: "mend the file, or what it names; remove it, and no log is kept"}}
}

// watchPaused tells of a rest of repair --watch.
func (p *Picture) watchPaused() []Finding {
	if p.Rest == "" {
		return nil
	}
	return []Finding{{Object: "repair --watch", What: "rests " + p.Rest, Remedy: "trestle resume, or wait"}}
}

// makers are the runtimes that name a container's namespace in a manner of their own. Where two of them have one (containerd's shim and buildah have paths of a process), nothing is said.
var makers = []struct{ name, prefix string }{
	{"containerd", "cni-"},
	{"podman", "netns-"},
	{"CRI-O", ""},
}

// uuid says whether the text is one, as RFC 9562, section 4 writes it.
func uuid(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i, c := range []byte(text) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !strings.ContainsRune("0123456789abcdef", rune(c)) {
			return false
		}
	}
	return true
}

// runtimesTwice tells of networks on which two runtimes have containers.
func (p *Picture) runtimesTwice() (found []Finding) {
	networks := make(map[string]map[string]string) // an example of each runtime
	for _, a := range p.Host.Attachments {
		for _, maker := range makers {
			if name, ok := strings.CutPrefix(filepath.Base(a.Netns), maker.prefix); ok && uuid(name) {
				if networks[a.Network] == nil {
					networks[a.Network] = make(map[string]string)
				}
				networks[a.Network][maker.name] = filepath.Base(a.Netns)
			}
		}
	}
	for _, network := range slices.Sorted(maps.Keys(networks)) {
		if runtimes := networks[network]; len(runtimes) > 1 {
			var list []string
			for _, name := range slices.Sorted(maps.Keys(runtimes)) {
				list = append(list, fmt.Sprintf("%s (%s)", name, runtimes[name]))
			}
			found = append(found, Finding{Object: "network " + network, What: "containers of several runtimes: " + strings.Join(list, ", "),
				Remedy: "give each runtime a directory of networks of its own, or networks of other names"})
		}
	}
	return found
}
