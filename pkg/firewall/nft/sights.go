package nft

import "sync"

// sights are the tables that this process has seen whole, each at a generation. Who asks about a thousand attachments (trestle ls) looks at what they share
// once: nothing constant can change without a transaction, and each raises the generation (see memory). Unlike a memory it is nobody else's word.
var sights struct {
	sync.Mutex
	at map[sight]uint32
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

// saw says whether that was seen at the generation at which steady's look began.
func (f *Filter) saw(at sight) bool {
	sights.Lock()
	defer sights.Unlock()
	gen, seen := sights.at[at]
	return seen && gen == f.began
}

// sees notes that it was seen, if nobody has committed anything since the look began.
func (f *Filter) sees(at sight) error {
	now, err := f.generation()
	if err != nil || now != f.began {
		return err
	}
	sights.Lock()
	defer sights.Unlock()
	if sights.at == nil {
		sights.at = make(map[sight]uint32)
	}
	sights.at[at] = now
	return nil
}

// driftOnce is drift within steady's look, for a table that was not seen whole at the generation at which the look began.
func (f *Filter) driftOnce(t *table) ([]string, error) {
	at, named := f.sight(t.String())
	if named && f.saw(at) {
		return nil, nil
	}
	list, err := f.drift(t)
	if err != nil || len(list) > 0 || !named {
		return list, err
	}
	return nil, f.sees(at)
}
