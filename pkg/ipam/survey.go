package ipam

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/order"
)

// Finding is a reservation as somebody sees it who only looks on.
type Finding struct {
	Addr   netip.Addr
	Holder Holder // zero for a file that names nobody
	Dead   string // the proof that the holder is dead; empty: there is none
	Lives  bool   // the holder's network namespace was found
	Unread error  // why it could not be read; then nothing is known of its holder
}

// Networks lists the networks that have a directory of reservations. None where the data directory is not there.
func Networks(dataDir string) ([]string, error) {
	files, err := os.ReadDir(dataDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.IO, ioHint, "reservations: %w", err)
	}
	var names []string
	for _, file := range files {
		if file.IsDir() && file.Name()[0] != '.' {
			names = append(names, file.Name())
		}
	}
	return names, nil
}

// Survey lists the reservations of a network in the order of their addresses. It takes no lock, changes nothing, and needs no right but to read;
// a reservation that comes or goes meanwhile may be listed or not. One that it has no right to read is listed without a holder.
func Survey(dataDir, network string) ([]Finding, error) {
	path := filepath.Join(dataDir, network)
	dir, err := os.Open(path)
	if err != nil {
		return nil, fault.New(fault.IO, ioHint, "reservations: %w", err)
	}
	defer dir.Close()
	s := &Store{path: path, dir: dir}
	s.boot, _ = bootID()
	names, err := dir.Readdirnames(-1)
	var list []Finding
	for _, name := range names {
		addr, ok := parseName(name)
		if !ok {
			continue
		}
		if f := s.look(addr); f.state != absent {
			list = append(list, Finding{Addr: addr, Holder: f.Holder, Dead: s.proof(f), Lives: f.recorded && f.record.lives(), Unread: f.unread})
		}
	}
	order.By(list, func(a, b Finding) int { return a.Addr.Compare(b.Addr) })
	if err != nil {
		err = fault.New(fault.IO, ioHint, "reservations: %w", err)
	}
	return list, err
}
