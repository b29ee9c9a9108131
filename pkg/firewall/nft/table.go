package nft

import (
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
)

// version is that of the rules and sets below. Raise it when they change: see "Versions" in the package comment.
const version = 6

// mark begins the comment of the map attachment, before the version. It tells people whose table this is, and machines how old.
const mark = "trestle v"

// attachments is the name of the map that counts what each owner holds.
const attachments = "attachment"

// table is the constant part of one family, as data.
type table struct {
	*nftables.Table
	sets   []*nftables.Set
	chains []*chain                    // empty until lay was called
	lay    func(*table)                // appends the chains; most calls get by without their rules
	needed func(*Filter) (bool, error) // says whether it is relied on though nobody holds anything in it; nil: never
	guests bool                        // chains without a hook may be somebody else's: the operator's, and they stay
}

// chain is a chain with its rules. A base chain has a hook.
type chain struct {
	nftables.Chain
	rules []rule
	left  bool // however it is, it is right: somebody means it
}

// rule is a rule in the words of nft(8), for messages, and in the kernel's.
type rule struct {
	text  string
	exprs []expr.Any
}

func newTable(family nftables.TableFamily, name string, lay func(*table)) *table {
	t := &table{Table: &nftables.Table{Name: name, Family: family}, lay: lay}
	// The library writes no byte order of a map's data, so that nft(8) would show and restore numbers in the host's order turned
	// round; a port is the number of nft's that is kept in network order.
	t.add(&nftables.Set{Name: attachments, IsMap: true, HasTimeout: true, KeyType: nftables.TypeIP6Addr, DataType: nftables.TypeInetService,
		Comment: mark + strconv.Itoa(version) + " (managed, do not edit): owner and role : number of elements, +32768 if the host link tells its life"})
	return t
}

// is says whether a table of the kernel's is this one, by its name.
func (t *table) is(other *nftables.Table) bool {
	return other.Name == t.Name && other.Family == t.Family
}

// laid returns the chains with their rules.
func (t *table) laid() []*chain {
	if len(t.chains) == 0 {
		t.lay(t)
	}
	return t.chains
}

// add appends a set.
func (t *table) add(s *nftables.Set) {
	s.Table = t.Table
	t.sets = append(t.sets, s)
}

// owned appends a set whose elements belong to owners; a map if data is not the zero type. An owned element is removed by a timeout.
func (t *table) owned(name, comment string, key, data nftables.SetDatatype) {
	t.add(&nftables.Set{Name: name, Comment: comment, KeyType: key, DataType: data, IsMap: data.Name != "", HasTimeout: true,
		Concatenation: strings.Contains(key.Name, " . "), KeyByteOrder: byteOrder(key)})
}

// ranges appends a set whose elements belong to owners, and are ranges of keys. To change one the kernel copies the set, which takes
// 0.1 ms at a thousand elements: such a set has few elements a container, and none a port.
func (t *table) ranges(name, comment string, key nftables.SetDatatype) {
	t.add(&nftables.Set{Name: name, Comment: comment, KeyType: key, Interval: true, Concatenation: true, HasTimeout: true})
}

// shared appends a set whose elements belong to nobody.
func (t *table) shared(name, comment string, key nftables.SetDatatype) {
	t.add(&nftables.Set{Name: name, Comment: comment, KeyType: key, Concatenation: strings.Contains(key.Name, " . "), KeyByteOrder: byteOrder(key)})
}

// byteOrder is what nft(8) must be told to list interface names: they count as numbers in the host's order.
func byteOrder(key nftables.SetDatatype) binaryutil.ByteOrder {
	if key.Name == nftables.TypeIFName.Name {
		return binaryutil.NativeEndian
	}
	return nil
}

// base appends a chain that sees packets at a hook.
func (t *table) base(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority nftables.ChainPriority, rules ...rule) {
	accept := nftables.ChainPolicyAccept
	t.chain(name, rules...)
	c := t.chains[len(t.chains)-1]
	c.Type, c.Hooknum, c.Priority, c.Policy = kind, hook, &priority, &accept
}

// chain appends a chain that others jump to.
func (t *table) chain(name string, rules ...rule) {
	t.chains = append(t.chains, &chain{Chain: nftables.Chain{Name: name, Table: t.Table}, rules: rules})
}

// set returns the set with the name, which must be one of the table's.
func (t *table) set(name string) *nftables.Set {
	for _, s := range t.sets {
		if s.Name == name {
			return s
		}
	}
	panic("nft: no set " + name)
}

// String returns the table's name as nft(8) has it.
func (t *table) String() string { return familyName(byte(t.Family)) + " " + t.Name }

func concat(types ...nftables.SetDatatype) nftables.SetDatatype {
	return nftables.MustConcatSetType(types...) // cannot fail for five types or fewer
}
