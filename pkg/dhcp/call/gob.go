package call

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// What of the format of encoding/gob the protocol needs: a value is a struct with its members by their names, and goes with a description of its type, sent once.
// The package itself, which can do it for any type of Go, would be 300 KB of every node's download. Numbers are as in its documentation, "Encoding Details".

// object is a struct. A member is a bool, int64, uint64, string, []byte, []any of one of these, or an object; what is zero is not there.
type object map[string]any

// The types that need no description. A type of ours has a number from firstID on, by its place in the list.
const (
	boolID   = 1
	intID    = 2
	uintID   = 3
	bytesID  = 5
	stringID = 6
	firstID  = 65
)

// kind describes a type: a slice of elem or, where that is 0, a struct.
type kind struct {
	name    string
	elem    int
	members []member
}

type member struct {
	name string
	id   int
}

var errGob = errors.New("not what a daemon or its plugin says")

// mostBytes is a thousand times more than one message has.
const mostBytes = 1 << 20

type encoder struct {
	out  io.Writer
	told map[int]bool
}

func newEncoder(out io.Writer) *encoder { return &encoder{out, make(map[int]bool)} }

// encode writes a struct of the type, after the description of all types that it is made of.
func (e *encoder) encode(id int, value object) error {
	for _, needed := range kinds[id-firstID].needs(id) {
		if e.told[needed] {
			continue
		}
		e.told[needed] = true
		if err := e.message(appendInt(nil, int64(-needed)), kinds[needed-firstID].describe(needed)); err != nil {
			return err
		}
	}
	return e.message(appendInt(nil, int64(id)), appendValue(nil, id, value))
}

func (e *encoder) message(head, body []byte) error {
	text := appendUint(nil, uint64(len(head)+len(body)))
	_, err := e.out.Write(append(append(text, head...), body...))
	return err
}

// needs lists the type itself and all within it.
func (k kind) needs(id int) []int {
	list := []int{id}
	for _, m := range append(k.members, member{"", k.elem}) {
		if m.id >= firstID {
			list = append(list, kinds[m.id-firstID].needs(m.id)...)
		}
	}
	return list
}

// describe is the type as a wireType: a struct with a member for each kind of type there is.
func (k kind) describe(id int) []byte {
	common := append(appendText([]byte{1}, k.name), 1) // the name, then the number
	common = append(appendInt(common, int64(id)), 0)
	if k.elem != 0 { // its second member, a slice: what is common, then its elements' type
		b := append(append([]byte{2, 1}, common...), 1)
		return append(appendInt(b, int64(k.elem)), 0, 0)
	}
	b := append([]byte{3, 1}, common...) // the third, a struct: what is common, then its members
	if len(k.members) > 0 {
		b = appendUint(append(b, 1), uint64(len(k.members)))
		for _, m := range k.members {
			b = append(appendText(append(b, 1), m.name), 1)
			b = append(appendInt(b, int64(m.id)), 0)
		}
	}
	return append(b, 0, 0)
}

func appendValue(b []byte, id int, value any) []byte {
	switch v := value.(type) {
	case bool:
		return append(b, map[bool]byte{true: 1}[v])
	case int64:
		return appendInt(b, v)
	case uint64:
		return appendUint(b, v)
	case string:
		return appendText(b, v)
	case []byte:
		return append(appendUint(b, uint64(len(v))), v...)
	case []any:
		b = appendUint(b, uint64(len(v)))
		for _, item := range v {
			b = appendValue(b, kinds[id-firstID].elem, item)
		}
	case object:
		last := -1
		for i, m := range kinds[id-firstID].members {
			if v[m.name] != nil {
				b = appendValue(appendUint(b, uint64(i-last)), m.id, v[m.name])
				last = i
			}
		}
		b = append(b, 0)
	}
	return b
}

func appendText(b []byte, s string) []byte { return append(appendUint(b, uint64(len(s))), s...) }

func appendInt(b []byte, n int64) []byte { return appendUint(b, uint64(n<<1)^uint64(n>>63)) }

func appendUint(b []byte, n uint64) []byte {
	if n < 128 {
		return append(b, byte(n))
	}
	size := (bits.Len64(n) + 7) / 8
	b = append(b, byte(-size))
	for i := size - 1; i >= 0; i-- {
		b = append(b, byte(n>>(8*i)))
	}
	return b
}

type decoder struct {
	in    *bufio.Reader
	types map[int64]described
}

// described is a type of the other end's.
type described struct {
	elem    int64
	members []member
}

func newDecoder(in *bufio.Reader) *decoder { return &decoder{in, make(map[int64]described)} }

// decode reads the next struct. At the end of the stream the error is io.EOF.
func (d *decoder) decode() (object, error) {
	for {
		text, err := d.message()
		if err != nil {
			return nil, err
		}
		r := &reader{b: text, types: d.types}
		id := r.int()
		if id < 0 {
			d.learn(-id, r)
			continue
		}
		value, _ := r.value(id, 0).(object)
		if r.err != nil || value == nil {
			return nil, fmt.Errorf("gob: %w", errGob)
		}
		return value, nil
	}
}

func (d *decoder) message() ([]byte, error) {
	first, err := d.in.ReadByte()
	if err != nil {
		return nil, err
	}
	size := uint64(first)
	if first >= 128 {
		if -int(int8(first)) > 8 {
			return nil, fmt.Errorf("gob: %w", errGob)
		}
		rest := make([]byte, -int(int8(first)))
		if _, err := io.ReadFull(d.in, rest); err != nil {
			return nil, err
		}
		size = number(rest)
	}
	if size > mostBytes {
		return nil, fmt.Errorf("gob: %w", errGob)
	}
	text := make([]byte, size)
	_, err = io.ReadFull(d.in, text)
	return text, err
}

func number(b []byte) (n uint64) {
	for _, digit := range b {
		n = n<<8 | uint64(digit)
	}
	return n
}

// learn takes in the description of a type. One of which there is no need here stays unknown.
func (d *decoder) learn(id int64, r *reader) {
	wire := r.object(wireType)
	if r.err != nil {
		return
	}
	if slice, is := wire["SliceT"].(object); is {
		elem, _ := slice["Elem"].(int64)
		d.types[id] = described{elem: elem}
		return
	}
	var t described
	form, _ := wire["StructT"].(object)
	list, _ := form["Field"].([]any)
	for _, item := range list {
		field, _ := item.(object)
		name, _ := field["Name"].(string)
		number, _ := field["Id"].(int64)
		t.members = append(t.members, member{name, int(number)})
	}
	d.types[id] = t
}
