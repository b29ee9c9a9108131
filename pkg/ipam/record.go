package ipam

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A record says of a reservation what its layout has no place for: from when it is, and how to find out that its owner is dead.
// It is an extended attribute of the reservation's file: it appears with the file, in one step, goes with it, and is invisible to
// whoever does not ask. Files of the reference have none at first; see Store.scan.
//
//	bytes  0       version, 1
//	       1..16   boot id
//	       17      what follows: 0 nothing, 1 a namespace's handle, 2 a namespace's path, 3 a namespace's name in a directory
//	       18..25  handle: which user namespace recorded it; path: which mount namespace; name: which directory
//	       26..    handle: its type, 4 bytes, little end first, and its bytes; path and name: the path's text
//
// This is short enough to stand in a 256-byte inode of ext4, where it costs no block.
type record struct {
	boot   [16]byte
	kind   byte
	where  uint64
	handle unix.FileHandle
	path   string
}

const (
	recordBare byte = iota
	recordHandle
	recordPath
	recordDirectory
)

func (r record) encode() []byte {
	out := append([]byte{1}, r.boot[:]...)
	out = append(out, r.kind)
	switch r.kind {
	case recordHandle:
		out = binary.LittleEndian.AppendUint64(out, r.where)
		out = binary.LittleEndian.AppendUint32(out, uint32(r.handle.Type()))
		out = append(out, r.handle.Bytes()...)
	case recordPath, recordDirectory:
		out = binary.LittleEndian.AppendUint64(out, r.where)
		out = append(out, r.path...)
	}
	return out
}

// parseRecord says false to anything that is not a whole record.
func parseRecord(data []byte) (r record, ok bool) {
	if len(data) < 18 || data[0] != 1 {
		return record{}, false
	}
	r.boot, r.kind, data = [16]byte(data[1:17]), data[17], data[18:]
	if r.kind == recordBare {
		return r, true
	}
	if len(data) < 8 {
		return record{}, false
	}
	r.where, data = binary.LittleEndian.Uint64(data), data[8:]
	switch {
	case r.kind == recordHandle && len(data) > 4 && len(data) <= 4+maxHandle:
		r.handle = unix.NewFileHandle(int32(binary.LittleEndian.Uint32(data)), data[4:])
	case (r.kind == recordPath || r.kind == recordDirectory) && len(data) > 0 && data[0] == '/' && bytes.IndexByte(data, 0) < 0:
		r.path = string(data)
	default:
		return record{}, false
	}
	return r, true
}

const maxHandle = 128 // MAX_HANDLE_SZ, include/linux/exportfs.h

// recordOf describes an attachment to the network namespace that is open as the descriptor, or else at the path. What cannot be found out is left out:
// then only the end of the boot proves that its owner is dead.
func recordOf(boot [16]byte, netns string, opened int) record {
	r, at := record{boot: boot}, netns
	if opened > 0 { // the path may lead elsewhere by now
		at = "/proc/self/fd/" + strconv.Itoa(opened)
	}
	handle, err := handleOf(at)
	if err == nil && opens(handle) == nil && mayJudge() {
		if where, err := namespaceID("user"); err == nil {
			r.kind, r.where, r.handle = recordHandle, where, handle
		}
		return r
	}
	if !strings.HasPrefix(netns, "/") || exists(netns) != nil {
		return r
	}
	if where, err := mountNamespace(); err == nil {
		r.kind, r.where, r.path = recordPath, where, netns
	} else if where, there, err := inDirectory(netns); err == nil && there {
		r.kind, r.where, r.path = recordDirectory, where, netns
	}
	return r
}

// death returns the proof that the owner of the reservation is dead, and "" where there is none. Proofs are: another boot; a
// namespace's handle that is stale (it is never given again, other than an inode's number or a path); a namespace's path that is
// gone, looked at from the mount namespace that recorded it; a namespace's name that is gone from its directory, whoever looks.
func (r record) death(boot [16]byte) string {
	if boot == unknownBoot || r.boot == unknownBoot {
		return ""
	}
	if r.boot != boot {
		return "made in an earlier boot"
	}
	switch r.kind {
	case recordHandle:
		// The kernel calls a living namespace stale, too, to whoever has no power over it. So only the user namespace that
		// recorded the handle, where it could be opened, may judge.
		where, err := namespaceID("user")
		if err == nil && where == r.where && mayJudge() && errors.Is(opens(r.handle), unix.ESTALE) {
			return "its network namespace is gone"
		}
	case recordPath:
		where, err := mountNamespace()
		if err == nil && where == r.where && errors.Is(exists(r.path), unix.ENOENT) {
			return "its network namespace " + r.path + " is gone"
		}
	case recordDirectory:
		where, there, err := inDirectory(r.path)
		if err == nil && where == r.where && !there {
			return "its network namespace " + r.path + " is gone"
		}
	}
	return ""
}

// lives says whether the namespace that the record names is there. As of now: a path may be of another one.
func (r record) lives() bool {
	switch r.kind {
	case recordHandle:
		return opens(r.handle) == nil
	case recordPath, recordDirectory:
		return exists(r.path) == nil
	}
	return false
}
