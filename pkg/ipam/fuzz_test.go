package ipam

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

// Whatever is in the files of a network's directory and beside it, a reservation can be made and released.
func FuzzFiles(f *testing.F) {
	f.Add([]byte("ctr1\r\neth0"), []byte("10.1.0.3"), []byte("trestle1"))
	f.Add([]byte(""), []byte("\x00"), []byte{})
	f.Add([]byte("ctr1"), []byte("fd00::1%lo"), make([]byte, headerSize+minSlots*slotSize))
	f.Fuzz(func(t *testing.T, reservation, pointer, index []byte) {
		dir := t.TempDir()
		must(t, os.MkdirAll(filepath.Join(dir, "net"), 0o755))
		must(t, os.MkdirAll(filepath.Join(dir, side), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "net", "10.1.0.2"), reservation, 0o600))
		must(t, os.WriteFile(filepath.Join(dir, "net", "last_reserved_ip.0"), pointer, 0o600))
		must(t, os.WriteFile(filepath.Join(dir, side, "net"), index, 0o600))
		s := open(t, dir)
		a := Attachment{Holder: Holder{"mine", "eth0"}}
		g, err := s.Allocate(0, Set{Whole(netip.MustParsePrefix("10.1.0.0/28"))}, netip.Addr{}, a)
		must(t, err)
		own, _, err := s.Held(a.Holder)
		must(t, err)
		if len(own) != 1 || own[0] != g.Addr.Addr() {
			t.Fatalf("granted %s, held %v", g.Addr, own)
		}
		must(t, s.Release(own[0]))
	})
}

// A table of any content ends every question, with an answer or an error.
func FuzzTable(f *testing.F) {
	f.Add(make([]byte, 16*slotSize), []byte{10, 1, 0, 2})
	f.Fuzz(func(t *testing.T, content, where []byte) {
		addr, ok := netip.AddrFromSlice(where)
		if !ok {
			return
		}
		m := make(memory, 16*slotSize)
		copy(m, content)
		x := &index{table: table{medium: m, slots: 16}, tail: 1 << 60}
		h := Holder{"ctr1", "eth0"}
		set := Set{{Start: addr, End: addr}}
		x.add(Reservation{addr, h})
		x.free(set, addr, 0, 1)
		x.drop(Reservation{addr, h}, 0)
		x.of(h)
		x.free(set, netip.Addr{}, 1<<62, 1)
	})
}

func FuzzRecord(f *testing.F) {
	f.Add(record{kind: recordPath, path: "/run/netns/a"}.encode())
	f.Add([]byte("\x010123456789abcdef\x01........\xf1\x00\x00\x00handle"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, ok := parseRecord(data)
		if ok && r.kind != recordBare && string(r.encode()) != string(data) {
			t.Fatalf("%x is written as %x", data, r.encode())
		}
	})
}

// The order of a round is one, whatever the ranges: it ends with the address that it began after.
func FuzzAfter(f *testing.F) {
	f.Add([]byte{10, 1, 0, 0}, uint8(24), uint16(3), uint16(9), uint16(5))
	f.Add(make([]byte, 16), uint8(112), uint16(0), uint16(0xffff), uint16(0))
	f.Fuzz(func(t *testing.T, base []byte, bits uint8, from, to, last uint16) {
		addr, ok := netip.AddrFromSlice(base)
		if !ok || int(bits) > addr.BitLen()-2 || from > to {
			return
		}
		r := Whole(netip.PrefixFrom(addr, int(bits)).Masked())
		r.Start, r.End = offset(r.Subnet.Addr(), from), offset(r.Subnet.Addr(), to)
		if !r.Subnet.Contains(r.Start) || !r.Subnet.Contains(r.End) {
			return
		}
		begin := offset(r.Subnet.Addr(), last)
		spans := Set{r}.After(begin)
		if end := spans[len(spans)-1].To; r.Contains(begin) && end != begin || !r.Contains(begin) && end != r.End {
			t.Fatalf("%s after %s: %v", r, begin, spans)
		}
		for _, s := range spans {
			if s.To.Less(s.From) || !r.Contains(s.From) || !r.Contains(s.To) {
				t.Fatalf("%s after %s: %v", r, begin, spans)
			}
		}
	})
}

// offset returns the address n places after a.
func offset(a netip.Addr, n uint16) netip.Addr {
	raw := a.AsSlice()
	sum := int(raw[len(raw)-1]) + int(raw[len(raw)-2])<<8 + int(n)
	raw[len(raw)-1], raw[len(raw)-2] = byte(sum), byte(sum>>8)
	out, _ := netip.AddrFromSlice(raw)
	return out
}
