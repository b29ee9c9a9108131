package plugin

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// Sandbox is what a CNI_NETNS path turned out to be.
type Sandbox uint8

// The kinds of sandbox.
const (
	SandboxGone    Sandbox = iota // empty, or nothing is there, or what is there is not a namespace (a mount point left over)
	SandboxAlive                  // a network namespace that is not ours
	SandboxOwnHost                // the namespace that the plugin itself runs in
)

// Sandbox looks at CNI_NETNS without entering it. The error says what is wrong with the path for a verb that needs the namespace.
func (r *Request) Sandbox() (Sandbox, error) {
	bad := func(err error) error {
		return fault.New(fault.Namespace, "pass the path of the container's network namespace", "CNI_NETNS: %s: %w", r.Netns, err)
	}
	if r.Netns == "" {
		return SandboxGone, bad(errors.New("empty"))
	}
	var there, own unix.Stat_t
	if err := unix.Stat(r.Netns, &there); err != nil {
		return SandboxGone, bad(err)
	}
	var system unix.Statfs_t
	if err := unix.Statfs(r.Netns, &system); err != nil {
		return SandboxGone, bad(err)
	}
	if system.Type != unix.NSFS_MAGIC && system.Type != unix.PROC_SUPER_MAGIC || !isNet(r.Netns) {
		return SandboxGone, bad(errors.New("not a network namespace"))
	}
	if err := unix.Stat("/proc/thread-self/ns/net", &own); err != nil {
		return SandboxGone, fmt.Errorf("/proc/thread-self/ns/net: %w", err)
	}
	if there.Dev == own.Dev && there.Ino == own.Ino && !r.Override {
		return SandboxOwnHost, bad(errors.New("the host's own network namespace"))
	}
	return SandboxAlive, nil
}

// isNet says whether a file of the kernel's is a network namespace, and not a namespace of another kind, or none: ioctl_ns(2).
func isNet(path string) bool {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE)
	return err == nil && kind == unix.CLONE_NEWNET
}
