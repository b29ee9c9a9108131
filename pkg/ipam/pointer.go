package ipam

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// side is the directory in the data directory that holds what the reference's layout has no place for. No network has this name,
// since a network's name begins with a letter or a digit.
const side = ".trestle"

func pointerName(set int) string { return "last_reserved_ip." + strconv.Itoa(set) }

// Last returns the address that was reserved last in the set with this index, the zero Addr when nobody knows: a lost or torn
// pointer only makes the round begin anew.
func (s *Store) Last(set int) netip.Addr {
	content, err := readIn(s.dir, pointerName(set))
	if err != nil {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(strings.TrimSpace(string(content)))
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}
	}
	return addr.Unmap()
}

// SetLast records the address reserved last in the set with this index. It is written beside the network's directory and renamed
// into it, so that nobody ever reads half of it, and the reference's scans, which compare the content of every file with a
// container ID, see no name that is not of the layout. Where renaming is not possible it is written in place.
func (s *Store) SetLast(set int, addr netip.Addr) error {
	name, text := pointerName(set), addr.String()
	next := filepath.Base(s.path) + "~" // no network's name has a tilde, so this is no other's index
	if aside, err := s.aside(); err == nil {
		defer aside.Close()
		err = writeNew(aside, next, text)
		if err == nil {
			err = unix.Renameat(int(aside.Fd()), next, int(s.dir.Fd()), name)
		}
		if err == nil {
			return nil
		}
	}
	return writeNew(s.dir, name, text)
}

// aside opens the directory named side, and makes it. A link to elsewhere is none.
func (s *Store) aside() (*os.File, error) {
	path := filepath.Join(filepath.Dir(s.path), side)
	const how = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW
	dir, err := os.OpenFile(path, how, 0)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.Mkdir(path, 0o755); err == nil || errors.Is(err, fs.ErrExist) {
			dir, err = os.OpenFile(path, how, 0)
		}
	}
	return dir, err
}

// Forget removes what stands beside the reservations of all networks, where there are none: what it would spare has nobody to be spared for. It
// returns the path of what it removed. It is derived from the reservations and made again with the next, so that one who comes meanwhile loses nothing.
func Forget(dataDir string) (string, error) {
	path := filepath.Join(dataDir, side)
	if info, err := os.Lstat(path); err != nil || !info.IsDir() {
		return "", nil
	}
	networks, err := Networks(dataDir)
	if err != nil {
		return "", err
	}
	for _, network := range networks {
		found, err := Survey(dataDir, network)
		if err != nil || len(found) > 0 {
			return "", err
		}
	}
	if err := os.RemoveAll(path); err != nil {
		return "", fault.New(fault.IO, ioHint, "reservations: %w", err)
	}
	return path, nil
}
