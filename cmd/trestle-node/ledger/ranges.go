package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
)

// ranges is what host-local reads: its ranges, and for people what they are.
type ranges struct {
	Network string         `json:"network"`
	Ranges  [][]pool.Range `json:"ranges"`
	Blocks  []pool.ID      `json:"blocks"`
	Node    string         `json:"node"`
	Boot    string         `json:"boot"`
}

// rangesOf are the open blocks, a set for each family. Where a family of the pool has none, there is no range at all: a container would get an address
// of one family, and never the other.
func rangesOf(c Content) ranges {
	r := ranges{Network: c.Network, Ranges: [][]pool.Range{}, Blocks: []pool.ID{}, Node: c.State.Node, Boot: c.State.Boot}
	for _, f := range pool.Families {
		var set []pool.Range
		for _, b := range c.State.Blocks {
			if one, ok := c.Pool.Range(b.ID); ok && b.Phase == protocol.Open && b.ID.Family == f {
				set, r.Blocks = append(set, one), append(r.Blocks, b.ID)
			}
		}
		switch {
		case len(set) > 0:
			r.Ranges = append(r.Ranges, set)
		case c.Pool.Len(f) > 0:
			r.Ranges = [][]pool.Range{}
			return r
		}
	}
	return r
}

// write replaces the file, if it says anything else.
func (r ranges) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fault.New(fault.Internal, "", "ranges: %w", err)
	}
	text = append(text, '\n')
	if there, err := plainfile.Read(path); err == nil && bytes.Equal(there, text) {
		return nil
	}
	if err := plainfile.Write(path, text); err != nil {
		return fault.New(fault.IO, ioHint, "ranges: %w", err)
	}
	return nil
}

// forgetful holds that the file is where a reboot empties all. On a disk, a machine that was declared dead while it was down would come back and hand
// out what is others' by now, as long as it does not reach the store.
func forgetful(path string) error {
	var system unix.Statfs_t
	dir := filepath.Dir(path)
	err := unix.Statfs(dir, &system)
	for errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		err = unix.Statfs(dir, &system)
	}
	if err != nil {
		return fault.New(fault.IO, ioHint, "ranges: %s: %w", path, err)
	}
	if kind := uint32(system.Type); kind != unix.TMPFS_MAGIC && kind != unix.RAMFS_MAGIC { // of 32 bits with a sign on arm
		return fault.New(fault.Config, "choose one below /run", "rangesFile: %s: must be on a tmpfs: what this boot may hand out must end with it", path)
	}
	return nil
}
