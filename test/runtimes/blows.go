package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// killedAtWork: the daemon is killed while the plugin bridge is at work for a pod. Started again, it runs pods, the one that was there goes on, and what it forgot of the other
// goes with that one's namespace and a GC.
func killedAtWork(t *Trial) error {
	before, err := state()
	if err != nil {
		return err
	}
	n, pipe := t.Runtime.(*node), filepath.Join(topDir, "hold", "ADD-bridge")
	old, err := t.pod(t.port(18092))
	if err := errors.Join(err, serving(old), unix.Mkfifo(pipe, 0o600)); err != nil {
		return err
	}
	torn := make(chan error, 1)
	go func() {
		_, err := t.pod(0)
		torn <- err
	}()
	held, err := os.OpenFile(pipe, os.O_WRONLY, 0) // as soon as the plugin reads it
	if err != nil {
		return err
	}
	err = errors.Join(n.Kill(), os.Remove(pipe), held.Close())
	if <-torn == nil {
		err = errors.Join(err, errors.New("the pod started without its daemon"))
	}
	half := t.pods[len(t.pods)-1]
	if err := errors.Join(err, n.Start(), serving(old), t.reached(old), started(t)); err != nil {
		return err
	}
	if n.find(half); half.id != "" {
		err = t.gone(half)
	} else {
		t.pods = slices.DeleteFunc(t.pods, func(p *Pod) bool { return p == half })
	}
	return errors.Join(err, t.gone(old), unnamed(), t.collect(before))
}

// unnamed takes away the network namespaces that runtimes made and forgot, as an operator does.
func unnamed() error {
	names, err := filepath.Glob(netns + "/cni-*")
	more, _ := filepath.Glob(crioDir + "/ns/netns/*")
	for _, name := range append(names, more...) {
		err = errors.Join(err, unix.Unmount(name, unix.MNT_DETACH), os.Remove(name))
	}
	return err
}

// rebooted: the machine starts again. Whatever is kept on its disk is there, what libcni keeps of ADDs and host-local's reservations among it; nothing of the kernel's
// is, nor of /run. Its pods are stopped and removed by whoever remembers them, and others start.
func rebooted(t *Trial) error {
	before, err := state()
	if err != nil {
		return err
	}
	a, err1 := t.pod(t.port(18093))
	b, err2 := t.pod(0)
	n := t.Runtime.(*node)
	if err := errors.Join(err1, err2, serving(a), serving(b), n.Kill(), powerCut(), n.Start()); err != nil {
		return err
	}
	same, err := t.pod(t.port(18093)) // nobody has stopped the old one yet
	if err := errors.Join(err, serving(same), t.reached(same)); err != nil {
		return fmt.Errorf("the port of before: %w", err)
	}
	return errors.Join(t.gone(a), serving(same), t.reached(same), t.gone(same), t.gone(b), started(t), t.collect(before))
}

// revived: the machine starts again, and podman starts the container that it had; once with the reservations swept away, as Debian's podman has it done at each start (tmpfiles.d), and
// once without that.
func revived(t *Trial) error {
	before, err := state()
	if err != nil {
		return err
	}
	for _, swept := range []bool{true, false} {
		p, err := t.pod(18093)
		if err := errors.Join(err, serving(p), powerCut()); err != nil {
			return err
		}
		if swept {
			err = os.RemoveAll("/var/lib/cni/networks")
		}
		if _, started := program("podman", "start", p.Name); started != nil {
			return errors.Join(err, fmt.Errorf("swept %t: %w", swept, started))
		}
		if err := errors.Join(err, serving(p), t.reached(p), t.gone(p)); err != nil {
			return fmt.Errorf("swept %t: %w", swept, err)
		}
	}
	return errors.Join(started(t), t.collect(before))
}

// powerCut ends all that runs on the host but this program, and takes away what is not on its disk: namespaces, links, packet filters, runtimes' files in /run.
func powerCut() error {
	if err := killAll(); err != nil {
		return err
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(mounts)) {
		at := strings.Fields(line)[1]
		if strings.HasPrefix(at, "/run/") && at != outside && at != netns || strings.HasPrefix(at, "/var/lib/containers/") {
			unix.Unmount(at, unix.MNT_DETACH) // mounts upon mounts go together
		}
	}
	files := []string{"/run/containerd", "/run/containers", "/run/libpod", "/run/runc", "/run/crio", "/run/lock", "/run/trestle"}
	locks, _ := filepath.Glob("/dev/shm/*") // podman's
	for _, file := range append(files, locks...) {
		err = errors.Join(err, os.RemoveAll(file))
	}
	names, _ := filepath.Glob(netns + "/*")
	for _, name := range names {
		if name != outside {
			err = errors.Join(err, os.Remove(name))
		}
	}
	_, flushed := program("nft", "flush", "ruleset")
	return errors.Join(err, unplug(), flushed)
}

// unplug takes away the links that plugins made. A container's would go with its namespace, but the kernel takes that away when it comes to it.
func unplug() error {
	list, err := netlink.LinkList()
	for _, link := range list {
		if link.Attrs().Name == "uplink" || !slices.Contains([]string{"bridge", "veth", "ifb"}, link.Type()) {
			continue
		}
		if e := netlink.LinkDel(link); !errors.Is(e, unix.ENODEV) { // the other end of one that went before
			err = errors.Join(err, e)
		}
	}
	return err
}

// killAll kills everybody on the host but its first process and this one, until nobody is left: who sees another die may start a third.
func killAll() error {
	return eventually(func() error {
		dirs, _ := filepath.Glob("/proc/[0-9]*")
		var left []int
		for _, dir := range dirs {
			var pid int
			line, err := os.ReadFile(dir + "/cmdline")
			if _, is := fmt.Sscan(filepath.Base(dir), &pid); errors.Join(err, is) != nil || len(line) == 0 || pid == 1 || pid == os.Getpid() {
				continue // without a command line it has ended, and nobody has asked how
			}
			left = append(left, pid)
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return err
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("still there: %v", left)
		}
		return nil
	})
}
