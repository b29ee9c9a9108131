package ipam

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// nsGetMntNSID is NS_GET_MNTNS_ID, include/uapi/linux/nsfs.h, from Linux 6.11 on.
const nsGetMntNSID = 0x8008b705

// mountNamespace returns the number of this process's mount namespace, which no other one has within this boot.
func mountNamespace() (uint64, error) {
	fd, err := unix.Open("/proc/self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	var id uint64
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), nsGetMntNSID, uintptr(unsafe.Pointer(&id))); errno != 0 {
		return 0, errno
	}
	return id, nil
}
