package nft

import (
	"sync"

	"github.com/trestle-cni/trestle/pkg/owner"
)

// sights are the tables that this process has seen whole, each at a generation. Who asks about a thousand attachments (trestle ls) looks at what they share
// once: nothing constant can change without a transaction, and each raises the generation (see memory). Unlike a memory it is nobody else's word.
var sights struct {
	sync.Mutex
	at map[sight]tally
}

// tally is a generation and, of a set, how many of its elements each owner had then.
type tally struct {
	gen uint32
	of  map[owner.ID]int
}

// sight is a table of a network namespace, which is known by its cookie.
type sight struct {
	namespace uint64
	table     string
}

// sight names what is seen of a table, or of a set of it, in the namespace of the filter; false where that has no name.
func (f *Filter) sight(what string) (sight, bool) {
	namespace, err := f.conn.Namespace()
	return sight{namespace, what}, err == nil
}

// saw returns what was seen, if that was at the generation at which steady's look began.
func (f *Filter) saw(at sight) (t tally, seen bool) {
	sights.Lock()
	defer sights.Unlock()
	t, seen = sights.at[at]
	return t, seen && t.gen == f.began
}

// sees notes what was seen. Who commits something meanwhile makes it another generation, of which nobody believes it.
func (f *Filter) sees(at sight, of map[owner.ID]int) {
	sights.Lock()
	defer sights.Unlock()
	if sights.at == nil {
		sights.at = make(map[sight]tally)
	}
	sights.at[at] = tally{f.began, of}
}

// driftOnce is drift within steady's look, for a table that was not seen whole at the generation at which the look began.
func (f *Filter) driftOnce(t *table) ([]string, error) {
	at, named := f.sight(t.String())
	if _, seen := f.saw(at); named && seen {
		return nil, nil
	}
	list, err := f.drift(t)
	if err != nil || len(list) > 0 || !named {
		return list, err
	}
	now, err := f.generation()
	if err == nil && now == f.began {
		f.sees(at, nil)
	}
	return nil, err
}
