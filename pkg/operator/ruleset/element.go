package ruleset

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/order"
)

// Attributes and flags of include/uapi/linux/netfilter/nf_tables.h that golang.org/x/sys lacks.
const (
	nftaSetElemKeyEnd  = 10
	nftSetElemCatchAll = 2
	nftSetConcat       = 128
	udataSetComment    = 7 // NFTNL_UDATA_SET_COMMENT of libnftnl
)

// sets reads all sets with their elements into their tables.
func (k kernel) sets(find func(family byte, name string) *Table) error {
	type place struct {
		family byte
		table  *Table
		set    *Set
	}
	var places []place
	err := k.dump(unix.NFT_MSG_GETSET, func(family byte, a attrs) error {
		t := find(family, a.text(unix.NFTA_SET_TABLE))
		if t == nil {
			return nil
		}
		s := readSet(a)
		t.Sets = append(t.Sets, s)
		places = append(places, place{family, t, s})
		return nil
	})
	if err != nil {
		return err
	}
	for _, p := range places {
		err := k.dump(unix.NFT_MSG_GETSETELEM, func(_ byte, a attrs) error {
			return each(a[unix.NFTA_SET_ELEM_LIST_ELEMENTS], func(_ uint16, value []byte) error { return p.set.add(value) })
		}, netlink.Attribute{Type: 0, Data: []byte{p.family}},
			netlink.Attribute{Type: unix.NFTA_SET_ELEM_LIST_TABLE, Data: []byte(p.table.Name + "\x00")},
			netlink.Attribute{Type: unix.NFTA_SET_ELEM_LIST_SET, Data: []byte(p.set.Name + "\x00")})
		if err != nil {
			return err
		}
		p.set.close()
	}
	return nil
}

func readSet(a attrs) *Set {
	flags := a.number(unix.NFTA_SET_FLAGS)
	s := &Set{
		Name: a.text(unix.NFTA_SET_NAME), Map: flags&unix.NFT_SET_MAP != 0, Comment: userComment(a[unix.NFTA_SET_USERDATA], udataSetComment),
		anonymous: flags&unix.NFT_SET_ANONYMOUS != 0, intervals: flags&unix.NFT_SET_INTERVAL != 0 && flags&nftSetConcat == 0,
		key: kinds(a.number(unix.NFTA_SET_KEY_TYPE)), data: kinds(a.number(unix.NFTA_SET_DATA_TYPE)),
		keySize: int(a.number(unix.NFTA_SET_KEY_LEN)),
	}
	return s
}

// add reads one element. Of a set of intervals the kernel lists the ends as elements of their own.
func (s *Set) add(value []byte) error {
	a, err := attributes(value)
	if err != nil {
		return err
	}
	e := Element{Comment: userComment(a[unix.NFTA_SET_ELEM_USERDATA], 0)}
	flags := a.number(unix.NFTA_SET_ELEM_FLAGS)
	e.catchAll = flags&nftSetElemCatchAll != 0
	if left := a[unix.NFTA_SET_ELEM_EXPIRATION]; left != nil {
		e.Expiring = time.Duration(a.long(unix.NFTA_SET_ELEM_EXPIRATION))*time.Millisecond < time.Second
	}
	if e.key, err = inner(a[unix.NFTA_SET_ELEM_KEY], unix.NFTA_DATA_VALUE); err != nil {
		return err
	}
	if e.end, err = inner(a[nftaSetElemKeyEnd], unix.NFTA_DATA_VALUE); err != nil {
		return err
	}
	if e.data, err = inner(a[unix.NFTA_SET_ELEM_DATA], unix.NFTA_DATA_VALUE); err != nil {
		return err
	}
	if v, err := inner(a[unix.NFTA_SET_ELEM_DATA], unix.NFTA_DATA_VERDICT); err != nil {
		return err
	} else if v != nil {
		if e.verdict, err = readVerdict(v); err != nil {
			return err
		}
	}
	e.open = flags&unix.NFT_SET_ELEM_INTERVAL_END != 0 // until close reads it: this is an end
	s.Elements = append(s.Elements, e)
	return nil
}

// inner returns the attribute of nested data.
func inner(data []byte, number uint16) ([]byte, error) {
	if data == nil {
		return nil, nil
	}
	a, err := attributes(data)
	return a[number], err
}

// close joins the ends of intervals with their beginnings, and writes the texts.
func (s *Set) close() {
	// The kernel lists elements of hash tables in an order of its own.
	order.By(s.Elements, func(a, b Element) int { return bytes.Compare(a.key, b.key) })
	if s.intervals {
		s.join()
	}
	for i := range s.Elements {
		e := &s.Elements[i]
		e.Text = s.keyText(*e)
		switch {
		case e.verdict != nil:
			e.Text += " : " + e.verdict.nft()
		case s.Map:
			e.Text += " : " + formatAll(s.data, e.data)
		}
	}
}

func (s *Set) join() {
	list := s.Elements
	var joined []Element
	for i, e := range list {
		if e.open { // an end, read with the beginning before it
			continue
		}
		if !e.catchAll && e.end == nil {
			e.open = true
			if i+1 < len(list) {
				e.open, e.end = false, minusOne(list[i+1].key)
			}
		}
		joined = append(joined, e)
	}
	s.Elements = joined
}

// minusOne is the number before, in network order.
func minusOne(number []byte) []byte {
	before := slices.Clone(number)
	for i := len(before) - 1; i >= 0; i-- {
		before[i]--
		if before[i] != 0xff {
			break
		}
	}
	return before
}

// find returns the element with the key, nil for none.
func (s *Set) find(key []byte) *Element {
	var all *Element
	for i := range s.Elements {
		e := &s.Elements[i]
		switch {
		case e.catchAll:
			all = e
		case s.holds(e, key, nil):
			return e
		}
	}
	return all
}

// possible says whether any element may be the key, of which only some bytes are known.
func (s *Set) possible(key []byte, known []bool) bool {
	return slices.ContainsFunc(s.Elements, func(e Element) bool { return e.catchAll || s.holds(&e, key, known) })
}

// holds says whether the element is the key, or a range with it. Ranges of joined keys are ranges of each part. Of a part that is not wholly
// known (nil: all is) it is not said that it does not fit, unless by what is known of it.
func (s *Set) holds(e *Element, key []byte, known []bool) bool {
	if e.end == nil && !e.open {
		return same(padded(e.key, s.keySize), padded(key, s.keySize), known)
	}
	if e.open {
		return slices.Contains(known, false) || bytes.Compare(key, e.key) >= 0
	}
	at := 0
	for _, n := range s.parts(e) {
		if at+n > len(key) || at+n > len(e.key) || at+n > len(e.end) {
			return false
		}
		value, low, top := key[at:at+n], e.key[at:at+n], e.end[at:at+n]
		if known != nil && slices.Contains(known[at:at+n], false) {
			if bytes.Equal(low, top) && !same(low, value, known[at:at+n]) {
				return false
			}
		} else if bytes.Compare(value, low) < 0 || bytes.Compare(value, top) > 0 {
			return false
		}
		at += n
	}
	return true
}

// same compares the bytes that are known; nil: all are.
func same(a, b []byte, known []bool) bool {
	if known == nil {
		return bytes.Equal(a, b)
	}
	for i := range min(len(a), len(b), len(known)) {
		if known[i] && a[i] != b[i] {
			return false
		}
	}
	return true
}

// parts are the sizes of what the element's key is joined of.
func (s *Set) parts(e *Element) []int {
	if len(s.key) < 2 {
		return []int{len(e.key)}
	}
	var sizes []int
	for _, k := range s.key {
		sizes = append(sizes, (k.size()+3)/4*4)
	}
	return sizes
}

func padded(b []byte, n int) []byte {
	if len(b) >= n {
		return b[:n]
	}
	return append(slices.Clone(b), make([]byte, n-len(b))...)
}

func (s *Set) keyText(e Element) string {
	switch {
	case e.catchAll:
		return "*"
	case e.open:
		return formatAll(s.key, e.key) + "-"
	case e.end != nil:
		return rangeText(s.key, e.key, e.end)
	}
	return formatAll(s.key, e.key)
}

// inline is an anonymous set as rules show it.
func (s *Set) inline() string {
	texts := make([]string, len(s.Elements))
	for i, e := range s.Elements {
		texts[i] = e.Text
	}
	return "{ " + strings.Join(texts, ", ") + " }"
}

// readVerdict reads a verdict of a rule or of a map's element.
func readVerdict(data []byte) (*jump, error) {
	a, err := attributes(data)
	if err != nil {
		return nil, err
	}
	code := int32(binary.BigEndian.Uint32(padded(a[unix.NFTA_VERDICT_CODE], 4)))
	return &jump{code: code, chain: a.text(unix.NFTA_VERDICT_CHAIN)}, nil
}
