package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// promised is the oldest kernel that is: docs/kernels.md.
var promised = []int{5, 10}

func ageChecks() []Check {
	return []Check{
		{"kernel-old", Warning, "it may lack what the plugins ask of it", (*Picture).old, nil},
		{"kernel-age", Note, "it works, and costs what is told", (*Picture).aged, []string{"kernel-old"}},
	}
}

// age is something that newer kernels have, and what is done without it: docs/kernels.md.
type age struct {
	since   []int
	feature string
	without string
}

var ages = []age{
	{[]int{6, 18}, "handles of namespaces",
		"host-local takes an address back within a boot where the path of its container's namespace is gone, and not where the path has become another's"},
	{[]int{6, 12}, "a new expiry for elements of nf_tables",
		"a DEL deletes the rules of its container, for which the kernel makes it wait some 10 to 20 ms, and those who change rules at the same time with it"},
	{[]int{6, 11}, "numbers of mount namespaces",
		"host-local takes an address back within a boot where the name of its container's namespace is gone from its directory; of one in /proc " +
			"only in the mounts of the machine's first process"},
	{[]int{6, 7}, "pairs of the kind netkit", "a network that asks for one is refused; without that key a pair is a veth"},
	{[]int{6, 6}, "extended attributes of users on tmpfs", "host-local without root takes nothing back from the dead where its dataDir is on a tmpfs; on a disk it does"},
	{[]int{5, 18}, "marks of who put an address there", "the gateway's address stays on a bridge that was there before the plugins, when its last container has gone"},
	{[]int{5, 14}, "cookies of network namespaces", "every ADD looks at all tables of the packet filter before it writes"},
	{[]int{5, 13}, "numbers of tmpfs", "host-local takes an address back within a boot only in the mounts of the machine's first process"},
	{[]int{5, 12}, "tables of nf_tables that go with their maker", "trestle trace --live fails, since what marks its packets might stay; without --live all is told"},
}

// version is the kernel's, as far as it can be read.
func (p *Picture) version() (version []int, known bool) {
	for _, part := range strings.FieldsFunc(p.Release, func(r rune) bool { return r < '0' || r > '9' }) {
		number, _ := strconv.Atoi(part) // it has digits alone
		version = append(version, number)
	}
	return version[:min(len(version), 2)], len(version) > 1
}

func (p *Picture) old() []Finding {
	if version, known := p.version(); !known || slices.Compare(version, promised) >= 0 {
		return nil
	}
	return []Finding{{Object: "kernel " + p.Release, What: "it is older than 5.10, the oldest that is promised", Remedy: "use a newer kernel"}}
}

func (p *Picture) aged() (found []Finding) {
	version, known := p.version()
	for _, a := range ages {
		if known && slices.Compare(version, a.since) < 0 {
			found = append(found, Finding{Object: "kernel " + p.Release, What: "it has no " + a.feature, Why: a.without,
				Remedy: fmt.Sprintf("none is needed; Linux %d.%d has it", a.since[0], a.since[1])})
		}
	}
	return found
}
