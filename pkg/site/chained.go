package site

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/owner"
)

// A plugin that makes an interface and links no packet filter cannot see there what one chained after it has made. So that one leaves an empty file while it has something,
// and who ends the attachment by a list that has lost it since asks for it. A file that is lost costs that, one too many a call. It need not outlive a boot, as no rule does.

const chained = "chained"

// Chain writes down that the plugin has something of the owner's in the packet filter, or is about to; created is false where that is written down already.
func (s *Site) Chain(plugin string, o owner.Owner) (created bool, err error) {
	file := s.chainedFile(plugin, o)
	err = unix.Mknod(file, unix.S_IFREG|0o600, 0)
	if errors.Is(err, unix.ENOENT) {
		if err = os.MkdirAll(filepath.Dir(file), 0o700); err == nil {
			err = unix.Mknod(file, unix.S_IFREG|0o600, 0)
		}
	}
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return false, fmt.Errorf("%s: %w", file, err)
	}
	return err == nil, nil
}

// Unchain takes back what Chain wrote down.
func (s *Site) Unchain(plugin string, o owner.Owner) { _ = unix.Unlink(s.chainedFile(plugin, o)) }

// UnchainAll takes back what any plugin wrote down, once all is removed that the owner has.
func (s *Site) UnchainAll(o owner.Owner) {
	for _, plugin := range s.Chained(o) {
		s.Unchain(plugin, o)
	}
}

// Chained are the plugins that have something of the owner's.
func (s *Site) Chained(o owner.Owner) []string {
	return s.chainedWhere(func(plugin string) bool { _, err := os.Lstat(s.chainedFile(plugin, o)); return err == nil })
}

// ChainedOn are those that have something of anybody's on the network who is not kept.
func (s *Site) ChainedOn(network [8]byte, keeps func(owner.ID) bool) []string {
	return s.chainedWhere(func(plugin string) bool {
		files, _ := os.ReadDir(filepath.Join(s.directory, chained, plugin)) // what cannot be read is as lost
		return slices.ContainsFunc(files, func(f os.DirEntry) bool {
			id, ok := chainedOwner(f.Name())
			return ok && id.Network == network && !keeps(id)
		})
	})
}

func (s *Site) chainedWhere(has func(plugin string) bool) (plugins []string) {
	dirs, _ := os.ReadDir(filepath.Join(s.directory, chained)) // there is none before the first
	for _, dir := range dirs {
		if has(dir.Name()) {
			plugins = append(plugins, dir.Name())
		}
	}
	return plugins
}

func (s *Site) chainedFile(plugin string, o owner.Owner) string {
	return filepath.Join(s.directory, chained, plugin, hex.EncodeToString(slices.Concat(o.ID.Network[:], o.ID.Owner[:])))
}

func chainedOwner(name string) (id owner.ID, ok bool) {
	text, err := hex.DecodeString(name)
	if err != nil || len(text) != len(id.Network)+len(id.Owner) {
		return id, false
	}
	copy(id.Owner[:], text[copy(id.Network[:], text):])
	return id, true
}
