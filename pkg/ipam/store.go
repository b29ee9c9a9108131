package ipam

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// Store is the directory of one network's reservations, locked. Its layout is the reference's (docs of host-local, "Disk"), and a
// reference host-local may use the same directory before, after, and in turn with this one.
type Store struct {
	path  string // <data directory>/<network>
	dir   *os.File
	lock  *os.File
	known *ledger // what the directory holds; nil until somebody asks
}

const ioHint = "is the file system mounted, writable and not full?"

// Open takes the network's lock and returns its store. With create, the directory is made; otherwise the error is fs.ErrNotExist
// where the network has none, and nothing is written. It waits for the lock until ctx ends, at most a minute; then the error has
// the code fault.TryLater and names the process that holds it.
func Open(ctx context.Context, dataDir, network string, create bool) (*Store, error) {
	path := filepath.Join(dataDir, network)
	if create {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, fault.New(fault.IO, ioHint, "reservations: %w", err)
		}
	}
	dir, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fault.New(fault.IO, ioHint, "reservations: %w", err)
	}
	s := &Store{path: path, dir: dir}
	if s.lock, err = openIn(dir, "lock", unix.O_RDONLY|unix.O_CREAT|unix.O_NOFOLLOW, 0o750); err != nil {
		return nil, errors.Join(fault.New(fault.IO, ioHint, "reservations: %w", err), s.Close())
	}
	if err := lock(ctx, s.lock); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close gives the lock back.
func (s *Store) Close() error {
	err := s.dir.Close()
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

// Holder returns who holds the address, and false when nobody does: there is no file, or one that a crash left empty or torn.
func (s *Store) Holder(addr netip.Addr) (Holder, bool) {
	content, err := readIn(s.dir, addr.String())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Holder{}, false
	case err != nil:
		return Holder{}, true
	default:
		return parseHolder(content)
	}
}

// Reserve writes the reservation. An address that somebody holds is an error with code fault.Taken that names the holder.
func (s *Store) Reserve(addr netip.Addr, h Holder) error {
	err := createWhole(s.dir, addr.String(), h.encode())
	if errors.Is(err, fs.ErrExist) {
		if err := s.evictTorn(addr); err != nil {
			return err
		}
		err = createWhole(s.dir, addr.String(), h.encode())
	}
	if err != nil {
		return fault.New(fault.IO, ioHint, "%s: reserve: %w", addr, err)
	}
	if s.known != nil {
		s.known.add(Reservation{addr, h})
	}
	return nil
}

// evictTorn removes a file that names nobody.
func (s *Store) evictTorn(addr netip.Addr) error {
	if holder, held := s.Holder(addr); held {
		return fault.New(fault.Taken, "choose another address, or remove that container", "%s: held by %s", addr, holder)
	}
	return s.Release(addr)
}

// Release removes the reservation of the address, whoever holds it. One that is gone is no error.
func (s *Store) Release(addr netip.Addr) error {
	err := removeIn(s.dir, addr.String())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.IO, ioHint, "%s: release: %w", addr, err)
	}
	if s.known != nil {
		s.known.drop(addr)
	}
	return nil
}

// All returns every reservation of the network in the order of their files' names, and the addresses of the files that name nobody.
func (s *Store) All() (held []Reservation, torn []netip.Addr, err error) {
	if _, err := s.dir.Seek(0, 0); err != nil {
		return nil, nil, fault.New(fault.IO, ioHint, "reservations: %w", err)
	}
	names, err := s.dir.Readdirnames(-1)
	if err != nil {
		return nil, nil, fault.New(fault.IO, ioHint, "reservations: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		addr, ok := parseName(name)
		if !ok {
			continue
		}
		if h, ok := s.Holder(addr); ok {
			held = append(held, Reservation{addr, h})
		} else {
			torn = append(torn, addr)
		}
	}
	return held, torn, nil
}

// Held returns the addresses of the holder: those reserved for exactly this container and interface, and beside them those of
// files that name the container only.
func (s *Store) Held(h Holder) (own, legacy []netip.Addr, err error) {
	l, err := s.ledger()
	if err != nil {
		return nil, nil, err
	}
	return l.of(h), l.of(Holder{ContainerID: h.ContainerID}), nil
}

// Free returns the first free address of the set in the order of round robin after the address reserved last.
func (s *Store) Free(set Set, reserved netip.Addr) (netip.Addr, Range, error) {
	l, err := s.ledger()
	if err != nil {
		return netip.Addr{}, Range{}, err
	}
	for _, span := range set.After(reserved) {
		if addr, ok := l.free(span); ok {
			return addr, span.Range, nil
		}
	}
	return netip.Addr{}, Range{}, fault.New(fault.Exhausted, "widen the range, or remove containers",
		"range set %s: no address is free", set)
}

// ledger reads the directory once for each command that has to know what is in it.
func (s *Store) ledger() (*ledger, error) {
	if s.known != nil {
		return s.known, nil
	}
	held, _, err := s.All()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.path, err)
	}
	s.known = newLedger(held)
	return s.known, nil
}
