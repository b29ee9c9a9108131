package ipam

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// inDirectory says whether the path's last name is in its directory, and returns a number of that directory which no other one has within this boot. Whoever
// sees that directory sees all names in it, in whatever mount namespace and by whatever path. A name that is a link leads elsewhere, and says nothing.
func inDirectory(path string) (directory uint64, there bool, err error) {
	fd, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, false, err
	}
	defer unix.Close(fd)
	if directory, err = directoryNumber(fd); err != nil {
		return 0, false, err
	}
	var stat unix.Stat_t
	err = unix.Fstatat(fd, filepath.Base(path), &stat, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case errors.Is(err, unix.ENOENT):
		return directory, false, nil
	case err == nil && stat.Mode&unix.S_IFMT == unix.S_IFLNK:
		return 0, false, unix.ELOOP
	}
	return directory, err == nil, err
}

// directoryNumber is made of the file system's number, which is random, and of the directory's handle, in which its inode's number has a generation: the two by
// which fanotify(7) tells files. A tmpfs has a number from Linux 5.13 on (mm/shmem.c); of what has none nothing is known.
func directoryNumber(fd int) (uint64, error) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return 0, err
	}
	if fs.Fsid == (unix.Fsid{}) {
		return 0, unix.ENOTSUP
	}
	handle, _, err := unix.NameToHandleAt(fd, "", unix.AT_EMPTY_PATH)
	if err != nil {
		return 0, err
	}
	sum := fnv.New64a()
	for _, part := range []any{fs.Fsid.Val, handle.Type(), handle.Bytes()} {
		if err := binary.Write(sum, binary.LittleEndian, part); err != nil {
			return 0, err
		}
	}
	return sum.Sum64(), nil
}
