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

// driftOnce is drift within steady's look, for a table that was not seen whole at the generation at which the look began.
func (f *Filter) driftOnce(t *table) ([]string, error) {
	namespace, err := f.conn.Namespace()
	if err != nil {
		return f.drift(t)
	}
	at := sight{namespace, t.String()}
	sights.Lock()
	gen, seen := sights.at[at]
	sights.Unlock()
	if seen && gen == f.began {
		return nil, nil
	}
	list, err := f.drift(t)
	if err != nil || len(list) > 0 {
		return list, err
	}
	now, err := f.generation()
	if err == nil && now == f.began {
		sights.Lock()
		defer sights.Unlock()
		if sights.at == nil {
			sights.at = make(map[sight]uint32)
		}
		sights.at[at] = now
	}
	return nil, err
}
