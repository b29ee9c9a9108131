// Package ledger is what a host keeps of its blocks. The ledger is on disk, and lasts: which blocks, at which epoch, of which store. What host-local reads
// is beside it in memory, and goes with the boot: a machine that was declared dead while it was down hands nothing out when it comes back, though it may
// not reach the store. Both are there whole or not at all, and what host-local reads is never more than what the ledger calls open.
package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/filelock"
	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
	"github.com/trestle-cni/trestle/pkg/kernel/procfile"
)

// Places are where a network's files are.
type Places struct {
	Network string
	Ledger  string // on a disk
	Ranges  string // what host-local reads (its key rangesFrom), on a tmpfs
	Data    string // host-local's dataDir
}

// Content is what is on disk.
type Content struct {
	Version  int                   `json:"version"`
	Network  string                `json:"network"`
	Cluster  uint64                `json:"cluster"`  // the store's own id, 0 while none has been asked
	Revision int64                 `json:"revision"` // the highest that the store has answered
	Pool     pool.Definition       `json:"definition"`
	State    protocol.State        `json:"state"`
	Since    map[pool.ID]time.Time `json:"since,omitempty"` // when a block was opened
	Again    *Again                `json:"again,omitempty"` // what is to be said after a restore; nil: nothing ever was
}

// Again are the blocks that a host had when a backup was restored. They are to be said as often as it takes, under the definition that froze the pool for that.
type Again struct {
	Frozen int64     `json:"frozen"` // that definition's revision
	Blocks []pool.ID `json:"blocks"`
}

const version = 1

// Ledger is open for one program at a time.
type Ledger struct {
	Content
	// Damaged is why what was on disk could not be read. Then nothing is known, which is safe: what the store has under the host's name is opened anew.
	Damaged error

	places Places
	locks  []*os.File
}

const ioHint = "is the file system mounted, writable and not full?"

// Open takes the ledger for this program, reads it, and closes what another boot had open. Node is the host's name.
func Open(ctx context.Context, places Places, node string) (*Ledger, error) {
	if err := forgetful(places.Ranges); err != nil {
		return nil, err
	}
	l := &Ledger{places: places}
	for _, path := range []string{places.Ledger, places.Ranges} { // the second may be in the file of a host of a cluster, or of one with a ledger elsewhere
		lock, err := alone(path, "the agent does this itself while it runs, but what follows a restore: stop it for that; or wait for the other call")
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.locks = append(l.locks, lock)
	}
	if err := l.begin(ctx, node); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// alone takes a file for this program. Who is refused is told what to do.
func alone(path, hint string) (*os.File, error) {
	lock, err := filelock.Open(path + ".lock")
	if err != nil {
		return nil, fault.New(fault.IO, filelock.Remedy(err, ioHint), "lock: %w", err)
	}
	if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		lock.Close()
		return nil, fault.New(fault.Taken, hint, "%s: another trestle-node has it", path)
	}
	return lock, nil
}

// Close lets others have the ledger.
func (l *Ledger) Close() (err error) {
	for _, lock := range l.locks {
		err = errors.Join(err, lock.Close())
	}
	return err
}

func (l *Ledger) begin(ctx context.Context, node string) error {
	content, err := Read(l.places)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, errTorn):
		l.Damaged = err
		if err := os.Rename(l.places.Ledger, l.places.Ledger+".damaged"); err != nil {
			return fault.New(fault.IO, ioHint, "ledger: %w", err)
		}
	case err != nil:
		return err
	}
	boot, err := Boot()
	if err != nil {
		return err
	}
	if name := content.State.Node; name != "" && name != node {
		return fault.New(fault.Config, "release its blocks under that name first (trestle-node release --all), or let it have the name again",
			"ledger: %s: is of node %s, not %s", l.places.Ledger, name, node)
	}
	if content.State.Boot == boot { // else nobody knows what host-local reads
		l.Content = content
	}
	content.Version, content.Network, content.State.Node = version, l.places.Network, node
	content.State = content.State.Restart(boot)
	return l.Keep(ctx, content)
}

// Reached notes where this host is reached, which its record and its blocks will say.
func (l *Ledger) Reached(ctx context.Context, via []netip.Addr) error {
	next := l.Content
	next.State.Via = via
	return l.Keep(ctx, next)
}

var errTorn = errors.New("is not whole")

// Read reads the ledger as it is, for who only looks.
func Read(places Places) (c Content, err error) {
	text, err := plainfile.Read(places.Ledger)
	if info, no := os.Lstat(places.Ledger); no == nil && err != nil && !info.Mode().IsRegular() && !errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("ledger: %s: %w: %w", places.Ledger, errTorn, err)
	}
	if err != nil {
		return c, fault.New(fault.IO, ioHint, "ledger: %w", err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return Content{}, fmt.Errorf("ledger: %s: %w: %w", places.Ledger, errTorn, err)
	}
	switch {
	case c.Version != version:
		return Content{}, fault.New(fault.Unsupported, "use the trestle-node that wrote it", "ledger: %s: version %d, this program knows %d", places.Ledger, c.Version, version)
	case c.Network != places.Network:
		return Content{}, fault.New(fault.Config, "give each network a ledger of its own", "ledger: %s: is of network %s, not %s", places.Ledger, c.Network, places.Network)
	}
	if err := c.check(); err != nil {
		return Content{}, fmt.Errorf("ledger: %s: %w: %w", places.Ledger, errTorn, err)
	}
	return c, nil
}

// check finds what no trestle-node writes: somebody's hand was in it.
func (c Content) check() error {
	if c.State.Node != "" && !protocol.IsName(c.State.Node) {
		return fmt.Errorf("node %q: is no name", c.State.Node)
	}
	for i, b := range c.State.Blocks {
		if b.Phase == 0 || i > 0 && c.State.Blocks[i-1].ID.Compare(b.ID) >= 0 {
			return fmt.Errorf("block %s: is %s, at place %d", b.ID, b.Phase, i)
		}
	}
	if len(c.Pool.CIDRs)+len(c.State.Blocks) == 0 {
		return nil // not defined yet
	}
	return c.Pool.Check()
}

// Boot is the kernel's name of this boot.
func Boot() (string, error) {
	text, err := procfile.Read("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fault.New(fault.IO, "mount /proc", "boot id: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
