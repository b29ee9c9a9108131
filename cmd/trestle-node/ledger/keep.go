package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/ipam"
	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
)

// Keep makes the content durable. What it has no longer open leaves what host-local reads first, then the ledger is written, then what is open gets there:
// a crash between them leaves host-local less than the ledger, and the next program begins with Keep. After an error the content is the old one.
func (l *Ledger) Keep(ctx context.Context, next Content) error {
	if l.less(next) {
		books, err := l.books(ctx)
		if err != nil {
			return err
		}
		return errors.Join(l.write(next), books.Close())
	}
	return l.write(next)
}

// less says whether next closes what host-local may be handing out of.
func (l *Ledger) less(next Content) bool {
	for _, b := range l.State.Blocks {
		if b.Phase == protocol.Open && next.State.Block(b.ID).Phase != protocol.Open {
			return true
		}
	}
	return l.State.Node == "" // nobody knows what is there
}

// books takes host-local's lock on the network. Who has written the ranges under it knows that no call hands out by the old ones.
func (l *Ledger) books(ctx context.Context) (*ipam.Store, error) {
	return ipam.Open(ctx, l.places.Data, l.places.Network, true)
}

func (l *Ledger) write(next Content) error {
	next.Since = since(next)
	both := next
	both.State = common(l.State, next.State)
	if err := rangesOf(both).write(l.places.Ranges); err != nil {
		return err
	}
	text, err := json.MarshalIndent(next, "", "  ")
	if err == nil {
		err = durable(l.places.Ledger, append(text, '\n'))
	}
	if err != nil {
		return fault.New(fault.IO, ioHint, "ledger: %w", err)
	}
	l.Content = next
	return rangesOf(next).write(l.places.Ranges)
}

// common is the state of next without what only it has open.
func common(old, next protocol.State) protocol.State {
	var blocks []protocol.Block
	for _, b := range next.Blocks {
		if b.Phase == protocol.Open && old.Block(b.ID).Phase == protocol.Open {
			blocks = append(blocks, b)
		}
	}
	next.Blocks = blocks
	return next
}

// since dates what has come to be open.
func since(next Content) map[pool.ID]time.Time {
	dates := make(map[pool.ID]time.Time)
	for _, b := range next.State.Blocks {
		if b.Phase != protocol.Open {
			continue
		}
		dates[b.ID] = time.Now().UTC().Truncate(time.Second)
		if at, ok := next.Since[b.ID]; ok && at.Before(dates[b.ID]) { // a clock that was set back has some come to be open in a year
			dates[b.ID] = at
		}
	}
	return dates
}

// CloseUnused closes an open block out of which nothing is reserved, so that it can be given back, and says whether it has.
func (l *Ledger) CloseUnused(ctx context.Context, id pool.ID) (closed bool, err error) {
	books, err := l.books(ctx)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, books.Close()) }()
	next := l.Content
	if next.State, err = l.State.Close(id); err != nil {
		return false, err
	}
	if used, err := l.usage(books); err != nil || used[id] > 0 {
		return false, err
	}
	return true, l.write(next)
}

// Unused says whether nothing is reserved in a block that host-local has not got any more.
func (l *Ledger) Unused(ctx context.Context, id pool.ID) (unused bool, err error) {
	books, err := l.books(ctx)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, books.Close()) }()
	used, err := l.usage(books)
	return err == nil && used[id] == 0, err
}

func (l *Ledger) usage(books *ipam.Store) (map[pool.ID]int, error) {
	all, empty, err := books.All()
	if err != nil {
		return nil, err
	}
	used := make(map[pool.ID]int)
	for _, r := range all {
		l.count(used, r.Addr)
	}
	for _, addr := range empty {
		l.count(used, addr)
	}
	return used, nil
}

func (l *Ledger) count(used map[pool.ID]int, addr netip.Addr) {
	if id, ok := l.Pool.Find(addr); ok {
		used[id]++
	}
}

// Usage counts the files of reservations in each block. It takes no lock, so that no call waits for it, and what comes or goes meanwhile may be counted.
func (l *Ledger) Usage() (map[pool.ID]int, error) {
	all, err := reserved(l.places)
	used := make(map[pool.ID]int)
	for _, addr := range all {
		l.count(used, addr)
	}
	return used, err
}

// reserved are the addresses of which the network's directory has a file.
func reserved(places Places) (all []netip.Addr, err error) {
	files, err := os.ReadDir(places.books())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.IO, ioHint, "reservations: %w", err)
	}
	for _, file := range files {
		if addr, err := netip.ParseAddr(file.Name()); err == nil {
			all = append(all, addr)
		}
	}
	return all, nil
}

// Dirs are the directories in which what concerns the host happens: of the reservations, and of what host-local reads.
func (l *Ledger) Dirs() []string { return []string{l.places.books(), filepath.Dir(l.places.Ranges)} }

func (p Places) books() string { return filepath.Join(p.Data, p.Network) }

// durable writes the file so that after a loss of power it is the old one or the new one. What it has already is not written: an agent may start again
// on a disk that is full.
func durable(path string, text []byte) error {
	if there, err := plainfile.Read(path); err == nil && bytes.Equal(there, text) {
		return nil
	}
	return plainfile.Durable(path, text)
}
