package ipam

import (
	"errors"
	"net/netip"
)

// index returns the index, made anew by a scan where there is none to believe.
func (s *Store) index() (*index, error) {
	if s.known != nil {
		return s.known, nil
	}
	if !s.opened {
		s.opened = true
		if s.indexFile, s.known = s.openIndex(); s.known != nil {
			return s.known, nil
		}
	}
	files, err := s.scan()
	if err != nil {
		return nil, err
	}
	s.known = s.build(files)
	if s.indexFile != nil {
		s.save(s.known)
	}
	return s.known, nil
}

// build makes an index in memory. What the old one says of released addresses is the only thing that the directory does not say;
// it is taken over as far as it can be read.
func (s *Store) build(files []entry) *index {
	slots := uint64(minSlots)
	for slots < 2*uint64(len(files)) {
		slots *= 2
	}
	for ; ; slots *= 2 {
		x := &index{table: table{medium: make(memory, slots*slotSize), slots: slots}}
		taken := make(map[netip.Addr]bool, len(files))
		for _, f := range files {
			if f.state == held {
				x.add(f.Reservation)
				taken[f.Addr] = true
			}
		}
		s.copyCooling(x, taken)
		if x.err == nil && x.used < slots/2 {
			return x
		}
	}
}

func (s *Store) copyCooling(x *index, taken map[netip.Addr]bool) {
	if s.indexFile == nil {
		return
	}
	h, whole := readHeader(s.indexFile)
	a, b := s.bootWords()
	if !whole || h[1] != a || h[2] != b || s.boot == unknownBoot {
		return
	}
	old := &index{table: table{medium: s.indexFile, offset: headerSize, slots: h[10], used: h[11]}, head: h[12], tail: h[13]}
	for ; old.head < old.tail && old.tail-old.head < h[10] && old.err == nil; old.head++ {
		if addr, released, ok := old.oldest(); ok && !taken[addr] {
			x.cool(addr, released)
		}
	}
}

// mend makes the index anew after it could not be changed: it was too small, or wrong, or its file could not be written.
func (s *Store) mend() error {
	if s.known.err == nil {
		return nil
	}
	s.forget()
	_, err := s.index()
	return err
}

// forget makes the next question be answered from the files.
func (s *Store) forget() {
	if err := s.known.err; err != nil && !errors.Is(err, errFull) && !errors.Is(err, errCorrupt) {
		s.closeIndex() // it cannot be read or written
	}
	s.known = nil
}

// closeIndex goes on without an index on disk.
func (s *Store) closeIndex() {
	if s.indexFile != nil {
		_ = s.indexFile.Close()
		s.indexFile, s.changing = nil, false
	}
}
