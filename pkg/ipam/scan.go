package ipam

import (
	"errors"
	"io/fs"
	"net/netip"
	"slices"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// state is what an address's file turned out to be.
type state uint8

const (
	absent state = iota
	torn         // empty, or left by a crash: it names nobody
	held         // a reservation, or something else that takes the name
)

// entry is an address's file.
type entry struct {
	Reservation
	state    state
	record   record
	recorded bool // it has a record
	unread   error
}

// look reads the address's file.
func (s *Store) look(addr netip.Addr) entry {
	f := entry{Reservation: Reservation{Addr: addr}, state: held}
	var buf [fileRoom]byte
	content, raw, err := readWith(s.dir, addr.String(), buf[:], readRecord)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.state = absent
	case err != nil: // a directory, a link, not ours to read: nobody's that we know
		f.unread = err
	default:
		var ok bool
		if f.Holder, ok = parseHolder(content); !ok {
			f.state = torn
		}
		f.record, f.recorded = parseRecord(raw)
	}
	return f
}

// scan reads all files that have an address for a name, in the order of their names. One without a record, which the reference
// made, gets one that says in which boot it was seen first: in a later boot its owner is dead.
func (s *Store) scan() ([]entry, error) {
	if _, err := s.dir.Seek(0, 0); err != nil {
		return nil, fault.New(fault.IO, ioHint, "reservations: %w", err)
	}
	names, err := s.dir.Readdirnames(-1)
	if err != nil {
		return nil, fault.New(fault.IO, ioHint, "reservations: %w", err)
	}
	slices.Sort(names)
	var files []entry
	for _, name := range names {
		addr, ok := parseName(name)
		if !ok {
			continue
		}
		f := s.look(addr)
		if f.state == held && !f.Holder.Unknown() && !f.recorded && s.boot != unknownBoot {
			f.record, f.recorded = record{boot: s.boot}, true
			addRecord(s.path+"/"+name, f.record.encode()) // where that fails, it is kept for ever
		}
		if f.state != absent {
			files = append(files, f)
		}
	}
	return files, nil
}

// All returns every reservation of the network in the order of their files' names, and the addresses of the files that name nobody.
func (s *Store) All() (all []Reservation, empty []netip.Addr, err error) {
	files, err := s.scan()
	for _, f := range files {
		if f.state == torn {
			empty = append(empty, f.Addr)
		} else {
			all = append(all, f.Reservation)
		}
	}
	return all, empty, err
}
