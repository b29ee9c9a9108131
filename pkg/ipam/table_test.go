package ipam

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func newTable(slots uint64) *table {
	return &table{medium: make(memory, slots*slotSize), slots: slots}
}

// A table is a map, whatever the order in which keys come and go. Few slots and many collisions find the gaps that a removal leaves.
func TestTableIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, model := newTable(16), map[key]byte{}
		drawKey := func(t *rapid.T) key {
			return key{kind: 1, part: rapid.ByteRange(0, 3).Draw(t, "part"), id: [16]byte{rapid.ByteRange(0, 7).Draw(t, "id")}}
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k, v := drawKey(t), rapid.Byte().Draw(t, "value")
				if _, there := model[k]; !there && len(model) == 12 {
					return
				}
				x.put(slot{kind: k.kind, part: k.part, id: k.id, count: v})
				model[k] = v
			},
			"remove": func(t *rapid.T) {
				k := drawKey(t)
				x.remove(k)
				delete(model, k)
			},
			"": func(t *rapid.T) {
				if x.err != nil || x.used != uint64(len(model)) {
					t.Fatalf("%d slots used, %v; want %d", x.used, x.err, len(model))
				}
				for part := range byte(4) {
					for id := range byte(8) {
						k := key{kind: 1, part: part, id: [16]byte{id}}
						s, ok := x.get(k)
						if want, there := model[k]; ok != there || s.count != want {
							t.Fatalf("%v: %d, %v; want %d, %v", k, s.count, ok, want, there)
						}
					}
				}
			},
		})
	})
}

func TestTableFull(t *testing.T) {
	x := newTable(16)
	for i := range byte(13) {
		x.put(slot{kind: 1, id: [16]byte{i}})
	}
	if x.err == nil || x.used != 12 {
		t.Errorf("13 entries of 16 slots: %v, %d used; want an error and 12", x.err, x.used)
	}
}

// Any bit that flips is found when its slot is read.
func TestTableCorrupt(t *testing.T) {
	for bit := range 8 * slotSize {
		x := newTable(16)
		x.put(slot{kind: 1, id: [16]byte{7}})
		at := x.home(key{kind: 1, id: [16]byte{7}}) * slotSize
		x.medium.(memory)[int(at)+bit/8] ^= 1 << (bit % 8)
		if _, ok := x.get(key{kind: 1, id: [16]byte{7}}); ok || x.err == nil {
			t.Fatalf("bit %d flipped: found %v, %v", bit, ok, x.err)
		}
	}
}

// A bitmap answers as a walk over the addresses would: also at the edges of blocks, of levels and of the address space.
func TestBitmapIsASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := netip.MustParseAddr(rapid.SampledFrom([]string{"0.0.0.0", "10.0.255.0", "10.255.254.192", "255.255.253.0", "::", "fd00::ff00",
			"fd00::ffff:ffff:ffff:ff00", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fd00"}).Draw(t, "base"))
		var all []netip.Addr
		for a := base; a.IsValid() && len(all) < 768; a = a.Next() {
			all = append(all, a)
		}
		b, model := bitmap{newTable(1 << 8), kindHeld}, map[netip.Addr]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"stretch": func(t *rapid.T) {
				from, n, add := rapid.IntRange(0, len(all)-1).Draw(t, "from"), rapid.IntRange(1, 600).Draw(t, "n"), rapid.Bool().Draw(t, "add")
				for _, a := range all[from:min(from+n, len(all))] {
					if model[a] = add; add {
						b.add(a)
					} else {
						b.remove(a)
					}
				}
			},
			"": func(t *rapid.T) {
				i := rapid.IntRange(0, len(all)-1).Draw(t, "i")
				j := rapid.IntRange(i, len(all)-1).Draw(t, "j")
				gateway := all[rapid.IntRange(0, len(all)-1).Draw(t, "gateway")]
				want := netip.Addr{}
				if k := slices.IndexFunc(all[i:j+1], func(a netip.Addr) bool { return !model[a] && a != gateway }); k >= 0 {
					want = all[i+k]
				}
				got, ok := b.free(Span{Range{Gateway: gateway}, all[i], all[j]})
				if b.err != nil || ok != want.IsValid() || ok && got != want {
					t.Fatalf("from %s to %s, gateway %s: %s, %v, %v; want %s", all[i], all[j], gateway, got, ok, b.err, want)
				}
				if b.has(all[i]) != model[all[i]] {
					t.Fatalf("%s: has %v, want %v", all[i], b.has(all[i]), model[all[i]])
				}
			},
		})
	})
}

// A holder may have more addresses than a slot has room for.
func TestIndexManyAddresses(t *testing.T) {
	x := &index{table: *newTable(minSlots)}
	h := Holder{"ctr1", "eth0"}
	var want []netip.Addr
	for i := range 7 {
		a := addr(fmt.Sprintf("10.1.0.%d", i))
		x.add(Reservation{a, h})
		x.add(Reservation{a, h})
		want = append(want, a)
	}
	for len(want) > 0 {
		if diff := cmp.Diff(want, x.of(h), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		x.drop(Reservation{want[0], h}, 0)
		want = want[1:]
	}
	if got := x.of(h); got != nil || x.err != nil {
		t.Errorf("none left: %v, %v", got, x.err)
	}
}

// has says whether the address is in the set.
func (b bitmap) has(addr netip.Addr) bool {
	a := address(addr.As16())
	s := b.load(a, 0)
	return s.value[a[15]/8]&(1<<(a[15]%8)) != 0
}
