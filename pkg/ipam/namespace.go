package ipam

import (
	"encoding/binary"
	"errors"
	"math"
	"unsafe"

	"golang.org/x/sys/unix"
)

// handleOf returns the handle of the network namespace at the path: an identity that is not used twice within a boot
// (fs/nsfs.c, from Linux 6.18 on). A path that is no namespace has none.
func handleOf(netns string) (unix.FileHandle, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(netns, &fs); err != nil {
		return unix.FileHandle{}, err
	}
	if fs.Type != unix.NSFS_MAGIC {
		return unix.FileHandle{}, unix.EINVAL
	}
	handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, netns, unix.AT_SYMLINK_FOLLOW)
	return handle, err
}

// opens tries to open the namespace of the handle.
func opens(handle unix.FileHandle) error {
	nsfs, err := unix.Open("/proc/self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(nsfs)
	fd, err := unix.OpenByHandleAt(nsfs, handle, unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// mayJudge says whether this process has power over the namespaces of its user namespace (CAP_SYS_ADMIN, effective).
func mayJudge() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	return unix.Capget(&header, &sets[0]) == nil && sets[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

func exists(path string) error {
	var stat unix.Stat_t
	return unix.Stat(path, &stat)
}

// namespaceID returns a number of the process's namespace of a kind that no other namespace has within this boot.
func namespaceID(kind string) (uint64, error) {
	handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, "/proc/self/ns/"+kind, unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return 0, err
	}
	if len(handle.Bytes()) < 8 {
		return 0, unix.EINVAL
	}
	return binary.NativeEndian.Uint64(handle.Bytes()), nil // struct nsfs_file_handle begins with ns_id, include/uapi/linux/nsfs.h
}

// mountNamespace returns the number of this process's mount namespace, which no other one has within this boot. Before Linux 6.11 only one can be
// told from all others: that of the machine's first process, which ends with the boot. For the others there is inDirectory.
func mountNamespace() (uint64, error) {
	id, err := mountNamespaceID()
	if errors.Is(err, unix.ENOTTY) && isFirst() {
		return firstMounts, nil
	}
	return id, err
}

// firstMounts is a number that the kernel, which counts upwards from 1, gives to none.
const firstMounts = math.MaxUint64

// initialPIDs is the inode number of the initial PID namespace, PROC_PID_INIT_INO of include/linux/proc_ns.h: there, and only there, process 1 is
// the machine's first.
const initialPIDs = 0xeffffffc

// isFirst says whether this process sees the mounts of the machine's first.
func isFirst() bool {
	var pids, own, first unix.Stat_t
	for name, stat := range map[string]*unix.Stat_t{"self/ns/pid": &pids, "self/ns/mnt": &own, "1/ns/mnt": &first} {
		if unix.Stat("/proc/"+name, stat) != nil {
			return false
		}
	}
	return pids.Ino == initialPIDs && own.Ino == first.Ino && own.Dev == first.Dev
}

// mountNamespaceID asks the kernel, which has an answer from Linux 6.11 on.
func mountNamespaceID() (uint64, error) {
	fd, err := unix.Open("/proc/self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	var id uint64
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.NS_GET_MNTNS_ID, uintptr(unsafe.Pointer(&id))); errno != 0 {
		return 0, errno
	}
	return id, nil
}
