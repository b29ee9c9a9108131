package firewall

import (
	"net/netip"

	"github.com/trestle-cni/trestle/pkg/owner"
)

// Restoring is what of all that a keeper knows may be put back where others swept it away, but for what is left as it is (Left).
type Restoring struct {
	// Admit says whether the owner's rules may be put back: he is locked, and no DEL of his has begun. linked says that he lives only if his host link does.
	Admit func(id owner.ID, linked bool) bool
	// Link says whether the host has it.
	Link func(name string) bool
}

// Restored is what was put back.
type Restored struct {
	Tables   []string // made anew, or made whole
	Elements int
	Rules    int
	Owners   map[owner.ID]bool
	Partly   bool // something is missing still: who made it is to be asked

	Ports       []Port       // that lead somewhere again
	Masqueraded []netip.Addr // addresses that are so again
}

// Nothing says that nothing was missing.
func (r Restored) Nothing() bool { return len(r.Tables)+r.Elements+r.Rules == 0 }

// Add adds what else was put back.
func (r *Restored) Add(more Restored) {
	r.Tables = append(r.Tables, more.Tables...)
	r.Elements += more.Elements
	r.Rules += more.Rules
	r.Partly = r.Partly || more.Partly
	r.Ports = append(r.Ports, more.Ports...)
	r.Masqueraded = append(r.Masqueraded, more.Masqueraded...)
	for id := range more.Owners {
		r.Owners[id] = true
	}
}
