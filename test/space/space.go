// Package space makes a host of one's own out of kernel namespaces, for tests and measurements: nothing that is done in it reaches the
// machine. Package nstest is this for a test; test/bench has several such hosts beside each other.
package space

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Names is the folder of the namespaces that have names, as ip-netns(8) has it.
const Names = "/run/netns"

// Attributes start a process in network and mount namespaces of its own. With user it has a user namespace, too, in which it is root:
// whoever is not root needs one.
func Attributes(user bool) *syscall.SysProcAttr {
	// Unshared once the user is mapped: files below /proc/net belong to whoever is root at a namespace's birth (net/netfilter/x_tables.c).
	attr := &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	if user {
		attr.Cloneflags = syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	return attr
}

// Disk names, in the environment, a folder on a disk of a machine that is there for tests alone. There /var/lib is on it, as a host's is, and
// not on a tmpfs, which keeps no extended attributes of users before Linux 6.6.
const Disk = "TRESTLE_DISK"

// Slow is set in the environment where everything takes many times as long as on a machine: in an emulator.
const Slow = "TRESTLE_SLOW"

// Settle makes a host of the namespaces that the process was started in: lo is up, and /run, /var/lib and /etc/cni are empty.
func Settle() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mounts: %w", err)
	}
	for _, dir := range []string{"/run", "/var/lib"} {
		if err := empty(dir); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	return errors.Join(settings(), os.MkdirAll(Names, 0o755), linkUp("lo"))
}

// settings makes /etc/cni an empty folder. Where the machine has none, which only root could make and which would stay, /etc as a whole is one of the host's own,
// of links to all that the machine has there.
func settings() error {
	const own = "/etc/cni"
	if _, err := os.Stat(own); err == nil {
		return empty(own)
	}
	machines, err := unused()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir("/etc")
	if err == nil {
		err = unix.Mount("/etc", machines, "", unix.MS_BIND|unix.MS_REC, "")
	}
	if err == nil {
		err = empty("/etc")
	}
	if err != nil {
		return fmt.Errorf("a folder /etc: %w", err)
	}
	for _, entry := range entries {
		target := filepath.Join(machines, entry.Name())
		if entry.Type() == fs.ModeSymlink { // it may lead from /etc to elsewhere
			if target, err = os.Readlink(target); err != nil {
				return err
			}
		}
		if err := os.Symlink(target, filepath.Join("/etc", entry.Name())); err != nil {
			return err
		}
	}
	return os.Mkdir(own, 0o755)
}

// unused finds an empty folder of the machine's, which nobody hides: a host may make hosts of its own, with another /run.
func unused() (string, error) {
	list := []string{"/srv", "/media"}
	for _, dir := range list {
		if entries, err := os.ReadDir(dir); err == nil && len(entries) == 0 {
			return dir, nil
		}
	}
	return "", fmt.Errorf("of %q none is an empty folder", list)
}

func empty(dir string) error {
	disk := os.Getenv(Disk)
	if disk == "" || dir != "/var/lib" {
		return unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755")
	}
	fresh, err := os.MkdirTemp(disk, "lib")
	if err != nil {
		return err
	}
	return unix.Mount(fresh, dir, "", unix.MS_BIND, "")
}

func linkUp(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq(name)
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, req); err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	req.SetUint16(req.Uint16() | unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		return fmt.Errorf("link %s: up: %w", name, err)
	}
	return nil
}

// Make makes a network namespace and returns its path. Its lo is down.
func Make(name string) (path string, err error) {
	path = filepath.Join(Names, name)
	if err := os.MkdirAll(Names, 0o755); err != nil {
		return "", err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return "", err
	}
	file.Close()
	return path, aside(func() error {
		own, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			return err
		}
		defer own.Close()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("namespace %s: %w", path, err)
		}
		return unix.Setns(int(own.Fd()), unix.CLONE_NEWNET) // the thread may take its time to end, and would keep it alive
	})
}

// aside runs f on a thread that ends with it. It is never the process's first thread, which cannot end, and of which /proc/self
// speaks: a test would see itself in f's namespace.
func aside(f func() error) error {
	errs := make(chan error)
	go func() {
		defer close(errs)      // f may end the goroutine by t.Fatal
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() {
			err := aside(f) // this thread waits, so that one is another
			runtime.UnlockOSThread()
			errs <- err
			return
		}
		errs <- f()
	}()
	return <-errs
}

// Remove takes the namespace's name away, as a runtime does when a container has gone. The namespace dies when nobody else is in it.
func Remove(path string) error {
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	return os.Remove(path)
}

// In runs f on a thread inside the namespace and returns its error. Sockets that f opens stay there.
func In(path string, f func() error) error {
	return aside(func() error {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter %s: %w", path, err)
		}
		return f()
	})
}

// Tun says whether the caller may ask for tap links. A machine's udev lets everybody, a container's folder of devices often nobody but root.
func Tun() bool { return unix.Access("/dev/net/tun", unix.R_OK|unix.W_OK) == nil }
