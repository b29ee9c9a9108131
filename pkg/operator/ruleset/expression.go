package ruleset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// part is one expression of a rule.
type part interface {
	run(w *walk) signal
	write(s *scribe)
}

// add appends the expression of the name to the rule.
func (r *Rule) add(t *Table, name string, data []byte) {
	a, err := attributes(data)
	var p part
	if err == nil {
		p = read(t, name, a)
	}
	switch p := p.(type) {
	case nil:
		r.unread(name)
	case *counter:
		r.Counter = &p.Counter
	case *test:
		r.parts = append(r.parts, p)
		if p.unknown {
			r.Unread = append(r.Unread, p.text)
		}
	case *remark:
		r.Comment = p.text
		r.parts = append(r.parts, p)
	default:
		r.parts = append(r.parts, p)
	}
}

func (r *Rule) unread(what string) {
	r.Unread = append(r.Unread, what)
	r.parts = append(r.parts, &stranger{what})
}

// read makes a part of an expression, nil of one that is not known.
func read(t *Table, name string, a attrs) part {
	switch name {
	case "meta":
		return readMeta(a)
	case "payload":
		return readPayload(a)
	case "ct":
		return readCt(a)
	case "fib":
		return readFib(a)
	case "immediate":
		return readImmediate(a)
	case "cmp":
		value, _ := inner(a[unix.NFTA_CMP_DATA], unix.NFTA_DATA_VALUE)
		return &compare{a.number(unix.NFTA_CMP_SREG), a.number(unix.NFTA_CMP_OP), value}
	case "bitwise":
		return readBitwise(a)
	case "byteorder":
		return readByteorder(a)
	case "range":
		from, _ := inner(a[unix.NFTA_RANGE_FROM_DATA], unix.NFTA_DATA_VALUE)
		to, _ := inner(a[unix.NFTA_RANGE_TO_DATA], unix.NFTA_DATA_VALUE)
		return &between{a.number(unix.NFTA_RANGE_SREG), a.number(unix.NFTA_RANGE_OP) == unix.NFT_RANGE_NEQ, from, to}
	case "lookup":
		return readLookup(t, a)
	case "match", "target":
		return readExtension(t, name, a)
	}
	return readEffect(name, a)
}

// stranger is an expression that is not understood.
type stranger struct{ name string }

func (p *stranger) run(w *walk) signal { return w.unsure(p.name) }
func (p *stranger) write(s *scribe)    { s.say("[" + p.name + "]") }

// register is the place of a register in bytes: there are four of 16 bytes, which are also sixteen of 4.
func register(number uint32) int {
	if number >= unix.NFT_REG32_00 {
		return int(number-unix.NFT_REG32_00) * 4
	}
	return int(number-unix.NFT_REG_1) * 16
}

// load puts something of the packet into a register.
type load struct {
	to   uint32
	size int
	name string
	kind kind
	get  func(w *walk) []byte // nil: not known
}

func (p *load) run(w *walk) signal {
	at, n := register(p.to), (p.size+3)/4*4
	for i := at; i < at+n && i >= 0 && i < len(w.registers.known); i++ {
		w.registers.bytes[i], w.registers.known[i] = 0, false
	}
	if value := p.get(w); value != nil && at >= 0 && at+n <= len(w.registers.bytes) {
		w.registers.put(at, padded(value, n))
	}
	return goOn
}

func (p *load) write(s *scribe) { s.load(p.to, p.size, p.name, p.kind) }

// readImmediate reads a value for a register, or a verdict.
func readImmediate(a attrs) part {
	to := a.number(unix.NFTA_IMMEDIATE_DREG)
	if verdict, _ := inner(a[unix.NFTA_IMMEDIATE_DATA], unix.NFTA_DATA_VERDICT); verdict != nil {
		j, err := readVerdict(verdict)
		if err != nil {
			return nil
		}
		return j
	}
	value, _ := inner(a[unix.NFTA_IMMEDIATE_DATA], unix.NFTA_DATA_VALUE)
	return &constant{load{to: to, size: len(value), get: func(*walk) []byte { return value }}, value}
}

// constant puts a value into a register.
type constant struct {
	load
	value []byte
}

func (p *constant) write(s *scribe) { s.constant(p.to, p.value) }

// compare compares a register with a value.
type compare struct {
	from, op uint32
	value    []byte
}

func (p *compare) run(w *walk) signal {
	got := w.registers.get(register(p.from), len(p.value))
	if got == nil {
		return w.unsure("what is not known of the packet")
	}
	c := bytes.Compare(got, p.value)
	holds := map[uint32]bool{unix.NFT_CMP_EQ: c == 0, unix.NFT_CMP_NEQ: c != 0, unix.NFT_CMP_LT: c < 0, unix.NFT_CMP_LTE: c <= 0,
		unix.NFT_CMP_GT: c > 0, unix.NFT_CMP_GTE: c >= 0}[p.op]
	return when(holds)
}

func when(holds bool) signal {
	if holds {
		return goOn
	}
	return miss
}

var operators = map[uint32]string{unix.NFT_CMP_EQ: "", unix.NFT_CMP_NEQ: "!=", unix.NFT_CMP_LT: "<", unix.NFT_CMP_LTE: "<=",
	unix.NFT_CMP_GT: ">", unix.NFT_CMP_GTE: ">="}

func (p *compare) write(s *scribe) { s.compare(p.from, operators[p.op], p.value) }

// between compares a register with a range.
type between struct {
	from     uint32
	not      bool
	low, top []byte
}

func (p *between) run(w *walk) signal {
	got := w.registers.get(register(p.from), len(p.low))
	if got == nil {
		return w.unsure("what is not known of the packet")
	}
	return when((bytes.Compare(got, p.low) >= 0 && bytes.Compare(got, p.top) <= 0) != p.not)
}

func (p *between) write(s *scribe) { s.between(p.from, p.not, p.low, p.top) }

// bitwise keeps and turns bits of a register.
type bitwise struct {
	from, to  uint32
	mask, xor []byte
}

// nftaBitwiseOp is NFTA_BITWISE_OP, which golang.org/x/sys lacks: anything but mask and xor is not understood.
const nftaBitwiseOp = 6

func readBitwise(a attrs) part {
	if a.number(nftaBitwiseOp) != 0 {
		return &unknownValue{to: a.number(unix.NFTA_BITWISE_DREG), size: int(a.number(unix.NFTA_BITWISE_LEN)), name: "shifted bits"}
	}
	mask, _ := inner(a[unix.NFTA_BITWISE_MASK], unix.NFTA_DATA_VALUE)
	xor, _ := inner(a[unix.NFTA_BITWISE_XOR], unix.NFTA_DATA_VALUE)
	if len(xor) != len(mask) {
		return nil
	}
	return &bitwise{a.number(unix.NFTA_BITWISE_SREG), a.number(unix.NFTA_BITWISE_DREG), mask, xor}
}

func (p *bitwise) run(w *walk) signal {
	at, to := register(p.from), register(p.to)
	for i := range p.mask {
		if at+i < 0 || to+i < 0 || max(at, to)+i >= len(w.registers.bytes) {
			return goOn
		}
		value, known := w.registers.bytes[at+i]&p.mask[i]^p.xor[i], w.registers.known[at+i] || p.mask[i] == 0
		w.registers.bytes[to+i], w.registers.known[to+i] = value, known
	}
	return goOn
}

func (p *bitwise) write(s *scribe) { s.bits(p.from, p.to, p.mask, p.xor) }

// unknownValue puts something into a register that is not known.
type unknownValue struct {
	to   uint32
	size int
	name string
}

func (p *unknownValue) run(w *walk) signal {
	return (&load{to: p.to, size: max(p.size, 4), get: func(*walk) []byte { return nil }}).run(w)
}
func (p *unknownValue) write(s *scribe) { s.load(p.to, p.size, "["+p.name+"]", 0) }

// turn changes the order of bytes in a register.
type turn struct {
	from, to uint32
	size     int // of each number
	length   int
}

func readByteorder(a attrs) part {
	return &turn{a.number(unix.NFTA_BYTEORDER_SREG), a.number(unix.NFTA_BYTEORDER_DREG),
		int(a.number(unix.NFTA_BYTEORDER_SIZE)), int(a.number(unix.NFTA_BYTEORDER_LEN))}
}

func (p *turn) run(w *walk) signal {
	value := w.registers.get(register(p.from), p.length)
	if value != nil && p.size > 0 && binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		for i := 0; i+p.size <= len(value); i += p.size {
			slices.Reverse(value[i : i+p.size])
		}
	}
	return (&load{to: p.to, size: p.length, get: func(*walk) []byte { return value }}).run(w)
}

func (p *turn) write(s *scribe) { s.copy(p.from, p.to) }

// search looks a register up in a set.
type search struct {
	from, to   uint32 // to: of a map
	table      *Table
	name       string
	not, isMap bool
}

func readLookup(t *Table, a attrs) part {
	_, isMap := a[unix.NFTA_LOOKUP_DREG]
	return &search{a.number(unix.NFTA_LOOKUP_SREG), a.number(unix.NFTA_LOOKUP_DREG), t, a.text(unix.NFTA_LOOKUP_SET),
		a.number(unix.NFTA_LOOKUP_FLAGS)&unix.NFT_LOOKUP_F_INV != 0, isMap}
}

func (p *search) run(w *walk) signal {
	set := p.table.Set(p.name)
	if set == nil {
		return w.unsure("the set " + p.name + ", which could not be read")
	}
	if !w.step(len(set.Elements) / 10) {
		return lost
	}
	key := w.registers.get(register(p.from), set.keySize)
	switch {
	case key == nil && !set.possible(w.registers.part(register(p.from), set.keySize)): // a ping is none of tcp's ports
		return when(p.not)
	case key == nil && p.isMap:
		w.reason = fmt.Sprintf("chain %s of %s: rule %q looks up what is not known of the packet", w.chain.Name, w.table, w.rule.Text)
		return lost
	case key == nil:
		return w.unsure("what is not known of the packet")
	}
	e := set.find(key)
	if e == nil || !p.isMap {
		return when((e != nil) != p.not)
	}
	if e.verdict != nil {
		return e.verdict.run(w)
	}
	return (&load{to: p.to, size: len(e.data), get: func(*walk) []byte { return e.data }}).run(w)
}

func (p *search) write(s *scribe) { s.search(p) }
