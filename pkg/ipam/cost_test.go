package ipam

import (
	"net/netip"
	"testing"
)

// counter counts what is read of and written to an index.
type counter struct {
	memory
	calls int
}

func (c *counter) ReadAt(p []byte, at int64) (int, error) {
	c.calls++
	return c.memory.ReadAt(p, at)
}

func (c *counter) WriteAt(p []byte, at int64) (int, error) {
	c.calls++
	return c.memory.WriteAt(p, at)
}

// A call costs the same however many reservations there are, and wherever the next free address is: at the end of the range, in its only
// gap, in one of many, and in a subnet of 2^64 addresses.
func TestConstantCost(t *testing.T) {
	const many = 60000
	v4, v6 := Whole(netip.MustParsePrefix("10.0.0.0/15")), Whole(netip.MustParsePrefix("fd00::/64"))
	for _, c := range []struct {
		name string
		in   Range
		skip func(i int) bool // leaves a gap
	}{
		{"dense", v4, func(int) bool { return false }},
		{"one gap at the end", Range{Start: v4.Start, End: offset32(v4.Start, many-1), Gateway: v4.Gateway}, func(i int) bool { return i == many-1 }},
		{"every other one", v4, func(i int) bool { return i%2 == 1 }},
		{"a gap in each block", v4, func(i int) bool { return i%256 == 255 }},
		{"dense IPv6", v6, func(int) bool { return false }},
	} {
		x := build(c.in, many, c.skip)
		m := &counter{memory: x.medium.(memory)}
		x.medium = m
		worst := 0
		h := Holder{"new", "eth0"}
		last := netip.Addr{}
		for range 50 {
			m.calls = 0
			addr, _, ok := x.free(Set{c.in}, last, 0, 1)
			if !ok {
				t.Fatalf("%s: nothing free, %v", c.name, x.err)
			}
			x.add(Reservation{addr, h})
			x.of(h)
			x.drop(Reservation{addr, h}, 0)
			worst = max(worst, m.calls)
			x.thaw(2, 1, 16)
			last = addr
		}
		// With an empty index it is about 40; collisions in the table, and a step up and down for each full level, come on top.
		if worst > 100 {
			t.Errorf("%s: %d reads and writes for a reservation and its release", c.name, worst)
		}
	}
}

func offset32(a netip.Addr, n uint32) netip.Addr {
	raw := a.As4()
	sum := uint32(raw[0])<<24 + uint32(raw[1])<<16 + uint32(raw[2])<<8 + uint32(raw[3]) + n
	return netip.AddrFrom4([4]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
}

func build(in Range, n int, skip func(int) bool) *index {
	var files []entry
	addr := in.Start
	for i := range n {
		if !skip(i) {
			files = append(files, entry{Reservation: Reservation{addr, Holder{"ctr" + addr.String(), "eth0"}}, state: held})
		}
		addr = addr.Next()
	}
	return new(Store).build(files)
}
