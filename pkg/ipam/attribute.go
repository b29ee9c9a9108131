package ipam

import (
	"errors"

	"golang.org/x/sys/unix"
)

// attributes are the names of a record, the first of them that the file system knows: before Linux 6.6 a tmpfs keeps no attributes of users, but those of the
// machine's owner (CAP_SYS_ADMIN, outside of user namespaces).
var attributes = [...]string{"user.trestle", "trusted.trestle"}

// eachName tries the names until one is known.
func eachName(try func(name string) error) (err error) {
	for _, name := range attributes {
		if err = try(name); !errors.Is(err, unix.EOPNOTSUPP) {
			break
		}
	}
	return err
}

// keepRecord writes the record of a file that is open, addRecord that of one that is there. What keeps none goes without.
func keepRecord(fd int, record []byte) {
	_ = eachName(func(name string) error { return unix.Fsetxattr(fd, name, record, 0) })
}

func addRecord(path string, record []byte) {
	_ = eachName(func(name string) error { return unix.Lsetxattr(path, name, record, 0) })
}

// readRecord reads that of a file that is open.
func readRecord(fd int, buf []byte) (size int, err error) {
	err = eachName(func(name string) error {
		size, err = unix.Fgetxattr(fd, name, buf)
		return err
	})
	return size, err
}
