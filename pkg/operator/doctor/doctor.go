// Package doctor looks for what is wrong with a host's container networking. Each check is a small function of one picture: what
// package observe has read of the host, the configurations, the plugins' directories, and what CHECK says. A finding has an id that stays;
// docs/doctor.md has a section for each.
package doctor

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/trestle-cni/trestle/pkg/operator/conflist"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/operator/ruleset"
	"github.com/trestle-cni/trestle/pkg/order"
)

// Severity is how bad a finding is.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // something does not work, or is open to attack
	Warning Severity = "warning" // something will not work, or only by chance, or costs room
	Note    Severity = "note"    // what works, and costs something here
)

// rank orders the severities, the worst first.
func (s Severity) rank() int { return slices.Index([]Severity{Error, Warning, Note}, s) }

// Finding is one thing that is wrong with one object.
type Finding struct {
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	Object   string   `json:"object"` // what it is about
	What     string   `json:"what"`
	Why      string   `json:"why"` // it matters
	Remedy   string   `json:"remedy"`
	Page     string   `json:"page"`
	Fix      *Fix     `json:"fix,omitempty"` // where one is safe

	cause string                // findings of one check with one cause are told as one; empty: each is its own
	about []*observe.Attachment // who suffers; nil: all, as far as is known
}

// Fix is a remedy that harms nothing that works.
type Fix struct {
	Kind FixKind `json:"kind"`
	Name string  `json:"name,omitempty"` // the sysctl below /proc/sys/net, the link, the file
	To   string  `json:"to,omitempty"`   // the sysctl's value
}

// FixKind is what a fix does.
type FixKind string

// The kinds of fixes.
const (
	SetSysctl  FixKind = "sysctl"
	SetUp      FixKind = "up"         // a link of the host
	Repair     FixKind = "repair"     // trestle repair
	Collect    FixKind = "gc"         // trestle gc, after the removal of a link where one is named
	RemoveFile FixKind = "remove"     // a file that says nothing to anybody
	Executable FixKind = "executable" // a plugin
)

func (f Fix) String() string {
	switch f.Kind {
	case SetSysctl:
		return fmt.Sprintf("set the sysctl net/%s to %s", f.Name, f.To)
	case SetUp:
		return "set " + f.Name + " up"
	case Repair:
		return "make missing rules again (trestle repair)"
	case Collect:
		if f.Name != "" {
			return "remove the link " + f.Name + ", and what else is left of the dead (trestle gc)"
		}
		return "remove what is left of the dead (trestle gc)"
	case RemoveFile:
		return "remove " + f.Name
	}
	return "make " + f.Name + " executable"
}

// Picture is all that checks look at.
type Picture struct {
	Host    *observe.Host
	Configs []*conflist.File
	// Plugins are the files of the plugins' directories by name.
	Plugins map[string]Plugin
	// Dirs are those directories.
	Dirs []string
	// Torn are files of runtimes' results that cannot be read, each with the cause.
	Torn []string
	// Programs are the tools of iptables, where a configuration asks for them.
	Programs []ruleset.Program
	// Release is that of the kernel: uname -r.
	Release string
	// Leases are those that daemons have written down.
	Leases []Lease
	// Stale are files in the directories of named namespaces that are none.
	Stale []string
	// Log is why the host's log cannot be written; nil where it can, or none is kept.
	Log error
	// Rest is until when repair --watch rests, and why; empty: it does not.
	Rest string
}

// Plugin is a plugin's file.
type Plugin struct {
	Path       string
	Executable bool
	Versions   []string // of the protocol that it speaks; empty: it did not say
}

// Check is one check.
type Check struct {
	ID       string
	Severity Severity
	Why      string // what it finds matters
	look     func(p *Picture) []Finding
	// covered are checks whose findings explain this one's.
	covered []string
}

// Checks are all checks, in the order of their findings.
func Checks() []Check {
	return slices.Concat(configChecks(), runtimeChecks(), kernelChecks(), ageChecks(), filterChecks(), insideChecks(), linkChecks(), leaseChecks(), leftoverChecks())
}

// Examine makes all checks. The worst comes first.
func (p *Picture) Examine() []Finding {
	found := make(map[string][]Finding)
	var all []Finding
	checks := Checks()
	for _, c := range checks {
		for _, f := range c.look(p) {
			f.ID, f.Severity, f.Page = c.ID, c.Severity, "docs/doctor.md#"+c.ID
			f.Why = cmp.Or(f.Why, c.Why)
			found[c.ID] = append(found[c.ID], f)
		}
	}
	for _, c := range checks {
		var covers []Finding
		for _, id := range c.covered {
			covers = append(covers, found[id]...)
		}
		own := slices.DeleteFunc(slices.Clone(found[c.ID]), suffering(covers).explain)
		all = append(all, gather(own)...)
	}
	order.By(all, func(a, b Finding) int { return cmp.Compare(a.Severity.rank(), b.Severity.rank()) })
	return all
}

// sufferers are those that findings are about.
type sufferers struct {
	all  bool // everybody
	some bool // somebody
	of   map[*observe.Attachment]bool
}

func suffering(list []Finding) sufferers {
	s := sufferers{some: len(list) > 0, of: make(map[*observe.Attachment]bool)}
	for _, f := range list {
		s.all = s.all || f.about == nil
		for _, a := range f.about {
			s.of[a] = true
		}
	}
	return s
}

// explain says whether what they suffer from explains another finding: about some of them, or about everybody.
func (s sufferers) explain(f Finding) bool {
	if s.all || f.about == nil {
		return s.some
	}
	return !slices.ContainsFunc(f.about, func(a *observe.Attachment) bool { return !s.of[a] })
}

// gather makes one finding of all that have one cause: the first, with how many more there are.
func gather(list []Finding) (told []Finding) {
	first, more := make(map[string]int), make(map[string][]string)
	for _, f := range list {
		if _, seen := first[f.cause]; seen && f.cause != "" {
			more[f.cause] = append(more[f.cause], f.Object)
			continue
		}
		first[f.cause] = len(told)
		told = append(told, f)
	}
	for cause, others := range more {
		told[first[cause]].What += fmt.Sprintf(" (and %d more: %s)", len(others), short(others))
	}
	return told
}

// Status is the exit status for the findings: 0 for none, 1 for warnings, 2 with errors.
func Status(found []Finding) int {
	worst := 0
	for _, f := range found {
		switch f.Severity {
		case Error:
			return 2
		case Warning:
			worst = 1
		}
	}
	return worst
}
