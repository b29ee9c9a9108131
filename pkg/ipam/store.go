package ipam

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/filelock"
)

// Store is the directory of one network's reservations, locked. Its layout is the reference's (README of host-local, "Disk"), and
// a reference host-local may use the same directory before, after, and in turn with this one.
type Store struct {
	Policy Policy
	// Opened is the descriptor of the network namespace for which addresses are reserved, where it is open: then its path is its name alone.
	Opened int

	path string // <data directory>/<network>
	dir  *os.File
	lock *os.File
	boot [16]byte // unknownBoot where the kernel does not say

	known     *index   // nil until somebody asks
	opened    bool     // it was tried to open the index
	indexFile *os.File // nil where the index is in memory only
	changing  bool     // the file says that the index is being changed
}

// Policy is what a network's configuration says of the use of its addresses. The zero Policy is the reference's.
type Policy struct {
	// Cooldown is how long after its release an address is not handed out again while another one is free. 0: not at all.
	Cooldown time.Duration
	// Reclaim lets addresses of the provably dead be taken from them when a set has no other.
	Reclaim bool
	// Dry lets Reclaim say what it would take, and take nothing.
	Dry bool
	// Log gets a line for every address reclaimed. It must be there when Reclaim is set.
	Log func(format string, args ...any)
}

const ioHint = "is the file system mounted, writable and not full?"

// Open takes the network's lock and returns its store. With create, the directory is made; otherwise the error is fs.ErrNotExist
// where the network has none, and nothing is written. It waits for the lock until ctx ends, at most a minute; then the error has
// the code fault.TryLater and names the process that holds it.
func Open(ctx context.Context, dataDir, network string, create bool) (*Store, error) {
	path := filepath.Join(dataDir, network)
	dir, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if create && errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(path, 0o755); err == nil {
			dir, err = os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
		}
	}
	if err != nil {
		return nil, fault.New(fault.IO, ioHint, "reservations: %w", err)
	}
	s := &Store{path: path, dir: dir}
	if s.lock, err = openIn(dir, "lock", unix.O_RDONLY|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o750); err != nil {
		return nil, errors.Join(fault.New(fault.IO, filelock.Remedy(err, ioHint), "reservations: %w", err), s.Close())
	}
	if err := lock(ctx, s.lock); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.boot, _ = bootID() // without it the index is not believed and nobody is called dead
	return s, nil
}

// Close gives the lock back.
func (s *Store) Close() error {
	s.commit()
	err := s.dir.Close()
	if s.indexFile != nil {
		err = errors.Join(err, s.indexFile.Close())
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

// Holder returns who holds the address, and false when nobody does: there is no file, or one that a crash left empty or torn.
func (s *Store) Holder(addr netip.Addr) (Holder, bool) {
	f := s.look(addr)
	return f.Holder, f.state == held
}

// Attachment is who an address is reserved for.
type Attachment struct {
	Holder
	Netns string // the path of its network namespace, whose end proves its death; may be empty
}

// Reserve writes the reservation. An address that somebody holds is an error with code fault.Taken that names the holder.
func (s *Store) Reserve(addr netip.Addr, a Attachment) error {
	if err := a.readable(); err != nil {
		return err
	}
	x, err := s.index()
	if err != nil {
		return err
	}
	s.begin()
	record := recordOf(s.boot, a.Netns, s.Opened).encode()
	err = createWhole(s.dir, addr.String(), a.encode(), record)
	if errors.Is(err, fs.ErrExist) {
		if f := s.look(addr); f.state == held {
			return fault.New(fault.Taken, "choose another address, or remove that container", "%s: held by %s", addr, f.Holder)
		}
		err = removeIn(s.dir, addr.String())
		if err == nil {
			err = createWhole(s.dir, addr.String(), a.encode(), record)
		}
	}
	if err != nil {
		return fault.New(fault.IO, ioHint, "%s: reserve in %s: %w", addr, s.dir.Name(), err)
	}
	x.add(Reservation{addr, a.Holder})
	return s.mend()
}

// Release removes the reservation of the address, whoever holds it. One that is gone is no error.
func (s *Store) Release(addr netip.Addr) error {
	x, err := s.index()
	if err != nil {
		return err
	}
	f := s.look(addr)
	if f.state == absent {
		return nil
	}
	s.begin()
	if err := removeIn(s.dir, addr.String()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.IO, ioHint, "%s: release: %w", addr, err)
	}
	if f.state == held {
		x.drop(f.Reservation, uptime())
	}
	return s.mend()
}

// Held returns the addresses of the holder: those reserved for exactly this container and interface, and beside them those of
// files that name the container only.
func (s *Store) Held(h Holder) (own, legacy []netip.Addr, err error) {
	for range 2 {
		x, err := s.index()
		if err != nil {
			return nil, nil, err
		}
		old := Holder{ContainerID: h.ContainerID}
		own, legacy = x.of(h), x.of(old)
		if s.holds(h, own) && s.holds(old, legacy) && x.err == nil {
			break
		}
		s.forget() // it was wrong; the next one is made from the files
	}
	return own, legacy, nil
}

func (s *Store) holds(h Holder, addrs []netip.Addr) bool {
	for _, addr := range addrs {
		if f := s.look(addr); f.state != held || f.Holder != h {
			return false
		}
	}
	return true
}

// Free returns the next free address of the set in the order of round robin after the address reserved last. Of those that are
// free, one that is cooling comes after all others. No address is an error with code fault.Exhausted.
func (s *Store) Free(set Set, reserved netip.Addr) (netip.Addr, Range, error) {
	for range 2 {
		x, err := s.index()
		if err != nil {
			return netip.Addr{}, Range{}, err
		}
		if x.head < x.tail {
			s.begin() // addresses that have cooled down leave it
		}
		addr, in, ok := x.free(set, reserved, uptime(), s.Policy.Cooldown)
		if x.err == nil && ok {
			return addr, in, nil
		}
		if x.err == nil {
			break
		}
		s.forget()
	}
	return netip.Addr{}, Range{}, fault.New(fault.Exhausted, "widen the range, or remove containers", "range set %s: no address is free", set)
}
