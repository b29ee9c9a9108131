package ipam

import (
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
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
	aside := filepath.Join(filepath.Dir(s.path), side)
	next := filepath.Join(aside, filepath.Base(s.path)+"~") // no network's name has a tilde, so this is no other's index
	if err := os.MkdirAll(aside, 0o755); err == nil {
		err = os.WriteFile(next, []byte(text), 0o600)
		if err == nil {
			err = unix.Renameat(unix.AT_FDCWD, next, int(s.dir.Fd()), name)
		}
		if err == nil {
			return nil
		}
	}
	return s.setLastInPlace(name, text)
}

func (s *Store) setLastInPlace(name, text string) error {
	file, err := openIn(s.dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteString(text)
	return err
}
