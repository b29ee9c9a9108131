package tool

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// mayEnter says whether this process may enter network namespaces, and so may see what is in them and change it. It asks the kernel, by entering the
// one that it is in: to be number 0 is not enough in a user namespace of one's own.
func mayEnter() bool {
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return false
	}
	defer own.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return unix.Setns(int(own.Fd()), unix.CLONE_NEWNET) == nil
}
