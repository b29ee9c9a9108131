package ipam

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/trestle-cni/trestle/pkg/checksum"
)

// A table is a hash table in a file: slots of a fixed size, searched from the place that the key's hash says. It is read and
// written slot by slot, so that a call costs the same however many there are.
type table struct {
	medium
	offset int64  // of slot 0 in the medium
	slots  uint64 // a power of two
	used   uint64
	err    error // the first that happened; nothing is read or written after it
}

// medium is a file, or memory where there can be no file.
type medium interface {
	io.ReaderAt
	io.WriterAt
}

// slot is one entry: 64 bytes, with a checksum. What id and value mean depends on the kind.
type slot struct {
	kind  byte // 0: empty
	part  byte
	count byte
	id    [16]byte
	value [32]byte
}

const slotSize = 64

// key is what a slot is found by.
type key struct {
	kind, part byte
	id         [16]byte
}

func (s slot) key() key { return key{s.kind, s.part, s.id} }

var (
	errFull    = errors.New("the table is full")
	errCorrupt = errors.New("the table is corrupt")
)

func (s slot) encode() []byte {
	var out [slotSize]byte
	out[0], out[1], out[2] = s.kind, s.part, s.count
	copy(out[8:], s.id[:])
	copy(out[24:], s.value[:])
	if s.kind != 0 {
		binary.LittleEndian.PutUint32(out[60:], checksum.Of(out[:60]))
	}
	return out[:]
}

func decodeSlot(in *[slotSize]byte) (slot, bool) {
	s := slot{kind: in[0], part: in[1], count: in[2], id: [16]byte(in[8:24]), value: [32]byte(in[24:56])}
	if s.kind == 0 {
		return slot{}, *in == [slotSize]byte{}
	}
	return s, binary.LittleEndian.Uint32(in[60:]) == checksum.Of(in[:60])
}

// home is the place where the search for the key begins: FNV-1a over it.
func (t *table) home(k key) uint64 {
	hash := uint64(14695981039346656037)
	mix := func(b byte) { hash = (hash ^ uint64(b)) * 1099511628211 }
	mix(k.kind)
	mix(k.part)
	for _, b := range k.id {
		mix(b)
	}
	return (hash ^ hash>>32) & (t.slots - 1)
}

func (t *table) at(i uint64) slot {
	if t.err != nil {
		return slot{}
	}
	var raw [slotSize]byte
	if _, err := t.ReadAt(raw[:], t.offset+int64(i)*slotSize); err != nil {
		t.err = err
		return slot{}
	}
	s, ok := decodeSlot(&raw)
	if !ok {
		t.err = errCorrupt
		return slot{}
	}
	return s
}

func (t *table) write(i uint64, s slot) {
	if t.err == nil {
		_, t.err = t.WriteAt(s.encode(), t.offset+int64(i)*slotSize)
	}
}

// seek returns the place of the key, or the empty one where it would stand.
func (t *table) seek(k key) (uint64, slot) {
	i := t.home(k)
	for range t.slots {
		s := t.at(i)
		if s.kind == 0 || s.key() == k {
			return i, s
		}
		i = (i + 1) & (t.slots - 1)
	}
	t.err = errCorrupt // it is never allowed to become full
	return 0, slot{}
}

// get returns the slot of the key, and false where there is none.
func (t *table) get(k key) (slot, bool) {
	_, s := t.seek(k)
	return s, s.kind != 0 && t.err == nil
}

// put writes the slot in place of the one with its key.
func (t *table) put(s slot) {
	i, old := t.seek(s.key())
	if old.kind == 0 {
		if t.used+1 > t.slots/4*3 {
			t.err = errors.Join(t.err, errFull)
			return
		}
		t.used++
	}
	t.write(i, s)
}

// remove deletes the slot of the key, and moves up those that stand behind it because of it, so that no gap ends a search too
// early and none is left over.
func (t *table) remove(k key) {
	gap, s := t.seek(k)
	if s.kind == 0 || t.err != nil {
		return
	}
	t.used--
	mask := t.slots - 1
	start := gap
	for n := uint64(1); n < t.slots; n++ {
		i := (start + n) & mask
		next := t.at(i)
		if next.kind == 0 {
			break
		}
		if (i-t.home(next.key()))&mask >= (i-gap)&mask {
			t.write(gap, next)
			gap = i
		}
	}
	t.write(gap, slot{})
}

// memory is a medium without a file.
type memory []byte

func (m memory) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 || at+int64(len(p)) > int64(len(m)) {
		return 0, io.ErrUnexpectedEOF
	}
	return copy(p, m[at:]), nil
}

func (m memory) WriteAt(p []byte, at int64) (int, error) {
	if at < 0 || at+int64(len(p)) > int64(len(m)) {
		return 0, io.ErrShortWrite
	}
	return copy(m[at:], p), nil
}
