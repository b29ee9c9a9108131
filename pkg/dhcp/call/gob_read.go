package call

// The numbers of the types in which types are described, which nobody describes.
const (
	wireType = -1 - iota
	sliceType
	structType
	commonType
	fieldList
	fieldType
	strange // of whatever the protocol has none
)

var wire = map[int64]described{
	wireType:   {members: []member{{"ArrayT", strange}, {"SliceT", sliceType}, {"StructT", structType}}},
	sliceType:  {members: []member{{"CommonType", commonType}, {"Elem", intID}}},
	structType: {members: []member{{"CommonType", commonType}, {"Field", fieldList}}},
	commonType: {members: []member{{"Name", stringID}, {"Id", intID}}},
	fieldList:  {elem: fieldType},
	fieldType:  {members: []member{{"Name", stringID}, {"Id", intID}}},
}

// reader reads the body of a message. With its first error all that follows is zero.
type reader struct {
	b     []byte
	types map[int64]described
	err   error
}

func (r *reader) take(n uint64) []byte {
	if r.err != nil || n > uint64(len(r.b)) {
		r.err = errGob
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) uint() uint64 {
	first := r.take(1)
	switch {
	case first == nil:
		return 0
	case first[0] < 128:
		return uint64(first[0])
	}
	size := -int(int8(first[0]))
	if size > 8 {
		r.err = errGob
		return 0
	}
	return number(r.take(uint64(size)))
}

func (r *reader) int() int64 {
	n := r.uint()
	return int64(n>>1) ^ -int64(n&1)
}

// deepest is more than there is of values within values.
const deepest = 20

func (r *reader) value(id int64, depth int) any {
	switch id {
	case boolID:
		return r.uint() != 0
	case intID:
		return r.int()
	case uintID:
		return r.uint()
	case bytesID:
		return append([]byte{}, r.take(r.uint())...)
	case stringID:
		return string(r.take(r.uint()))
	}
	t, known := r.types[id]
	if id < 0 {
		t, known = wire[id], id != strange
	}
	switch {
	case !known || depth > deepest:
		r.err = errGob
		return nil
	case t.elem != 0:
		return r.list(t.elem, depth)
	}
	return r.members(t, depth)
}

func (r *reader) list(elem int64, depth int) (list []any) {
	for n := r.uint(); n > 0 && r.err == nil; n-- {
		list = append(list, r.value(elem, depth+1))
	}
	return list
}

func (r *reader) members(t described, depth int) object {
	o := make(object)
	for at := uint64(0); r.err == nil; {
		step := r.uint()
		if step == 0 {
			break
		}
		if at += step; at > uint64(len(t.members)) || step > uint64(len(t.members)) {
			r.err = errGob
			break
		}
		m := t.members[at-1]
		o[m.name] = r.value(int64(m.id), depth+1)
	}
	return o
}

func (r *reader) object(id int64) object {
	o, _ := r.value(id, 0).(object)
	return o
}
