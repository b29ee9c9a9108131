package plugin

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/netns"
)

// Sandbox is what a CNI_NETNS path turned out to be.
type Sandbox uint8

// The kinds of sandbox.
const (
	SandboxGone    Sandbox = iota // empty, or nothing is there, or what is there is not a network namespace (a mount point left over)
	SandboxAlive                  // a network namespace that is not ours
	SandboxOwnHost                // the namespace that the plugin itself runs in
)

// sandbox is CNI_NETNS, opened and looked at once a call: the path may lead elsewhere a moment later.
type sandbox struct {
	kind Sandbox
	why  error // what is wrong with it for a verb that needs the namespace
	ns   int   // the descriptor; -1 where nothing was opened
}

// Sandbox looks at CNI_NETNS without entering it. The error says what is wrong with the path for a verb that needs the namespace.
func (r *Request) Sandbox() (Sandbox, error) {
	if r.sandbox == nil {
		r.sandbox = &sandbox{ns: -1}
		if err := r.sandbox.open(r.Netns, r.Environ[handed], r.Override); err != nil {
			r.sandbox.why = fault.New(fault.Namespace, "pass the path of the container's network namespace", "CNI_NETNS: %s: %w", r.Netns, err)
		}
	}
	return r.sandbox.kind, r.sandbox.why
}

// Namespace is the descriptor of the network namespace that Sandbox looked at, -1 where there is none. It is open as long as the call lasts, and all
// that is done in the container is done by it.
func (r *Request) Namespace() int {
	_, _ = r.Sandbox() // where nothing is open, -1 says so
	return r.sandbox.ns
}

func (s *sandbox) open(path, by string, override bool) (err error) {
	if path == "" {
		return errors.New("empty")
	}
	// A descriptor that waits for nobody: the path may be that of a FIFO.
	if s.ns, err = receive(by); err != nil {
		s.ns, err = unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return err
	}
	if !isNetwork(s.ns) {
		s.close()
		return errors.New("not a network namespace")
	}
	var there, own unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &own); err != nil {
		return fmt.Errorf("/proc/thread-self/ns/net: %w", err)
	}
	if err := unix.Fstat(s.ns, &there); err != nil {
		return err
	}
	s.kind = SandboxAlive
	if there.Dev == own.Dev && there.Ino == own.Ino && !override {
		s.kind = SandboxOwnHost
		return errors.New("the host's own network namespace")
	}
	return nil
}

// isNetwork says whether the descriptor is of a network namespace, and not of another kind of namespace, or of something else.
func isNetwork(fd int) bool {
	var system unix.Statfs_t
	if err := unix.Fstatfs(fd, &system); err != nil || system.Type != unix.NSFS_MAGIC {
		return false
	}
	kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE)
	return err == nil && kind == unix.CLONE_NEWNET
}

func (s *sandbox) close() {
	if s != nil && s.ns >= 0 {
		unix.Close(s.ns)
		s.ns = -1
	}
}

// handed is the variable by which one plugin of ours hands the namespace that it has open to another that it calls, beside CNI_NETNS, which is what the
// runtime calls it: the descriptor and, since descriptors are numbers that anything may have, the namespace's inode.
const handed = "TRESTLE_NETNS"

// hand returns the variable's value for a callee that has the namespace open as the descriptor; empty where there is none.
func (r *Request) hand(fd int) string {
	number, err := netns.NumberOf(r.Namespace())
	if err != nil { // there is none
		return ""
	}
	return fmt.Sprintf("%d:%d", fd, number)
}

// file is the namespace as a file of its own, for a process that inherits it; nil where there is none.
func (r *Request) file() *os.File {
	fd, err := unix.FcntlInt(uintptr(r.Namespace()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	return os.NewFile(uintptr(fd), r.Netns)
}

// receive opens what was handed on once more.
func receive(by string) (int, error) {
	number, inode, _ := strings.Cut(by, ":")
	fd, err := strconv.Atoi(number)
	if err != nil {
		return -1, err
	}
	if there, err := netns.NumberOf(fd); err != nil || !isNetwork(fd) || strconv.FormatUint(there, 10) != inode {
		return -1, unix.EBADF
	}
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
}
