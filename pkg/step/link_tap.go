package step

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Tap is a link whose other end a program has, mostly a virtual machine's: what is sent there it reads, and what it writes comes in.
type Tap struct {
	Owner, Group int64  // the user, of the group, who may open it besides root; -1: any
	MultiQueue   bool   // several programs, or threads, may
	VnetHdr      bool   // each frame has a header about what of its work is left to do (virtio)
	Label        string // SELinux context; empty: the plugin's own
	Bridge       string // of the container's, of which it is a port; empty: none
}

// tunDevice is where such links are asked for.
const tunDevice = "/dev/net/tun"

func (t Tap) kind() string { return "tuntap" }

func (t Tap) hangs() bool { return false }

func (t Tap) ready(*site.Side) error {
	switch err := unix.Access(tunDevice, unix.R_OK|unix.W_OK); {
	case errors.Is(err, unix.ENOENT):
		return fault.New(fault.Unsupported, "modprobe tun", "tap: %s: %w", tunDevice, err)
	case err != nil: // what runs in a container of its own, or without root where udev has not opened it to all
		return fault.New(fault.Unsupported, "let the plugin open it: chmod 666 "+tunDevice, "tap: %s: %w", tunDevice, err)
	}
	if err := fault.Join(mapped("owner", t.Owner, "/proc/self/uid_map"), mapped("group", t.Group, "/proc/self/gid_map")); err != nil || t.Label == "" {
		return err
	}
	if _, err := os.Stat("/sys/fs/selinux/enforce"); err != nil {
		return fault.New(fault.Unsupported, "leave selinuxContext out", "selinuxContext: %s: this machine has no SELinux", t.Label)
	}
	return nil
}

// mapped refuses a number that is nobody's in the plugin's own namespace of users (user_namespaces(7)), as that of a plugin without root: the kernel takes no such.
func mapped(key string, id int64, file string) error {
	if id < 0 {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for fields := strings.Fields(string(text)); len(fields) >= 3; fields = fields[3:] { // the first number here, the same outside, how many
		first, _ := strconv.ParseInt(fields[0], 10, 64)
		count, _ := strconv.ParseInt(fields[2], 10, 64)
		if id >= first && id-first < count {
			return nil
		}
	}
	return fault.New(fault.Config, "use a number of "+file, "%s: %d: is nobody's number where the plugin runs", key, id)
}

func (t Tap) fits(*site.Side, netlink.Link) error { return nil }

// create makes it by the device's own requests: there are none of rtnetlink. It is down, and stays when its descriptor is closed.
func (t Tap) create(on *site.Side, l rtnl.Link) error {
	master := 0
	if t.Bridge != "" {
		bridge, err := need(on, t.Bridge)
		if err != nil {
			return fmt.Errorf("bridge: %w", err)
		}
		if kind := bridge.Type(); kind != "bridge" {
			return fault.New(fault.Config, "name a bridge", "bridge: %s: a link of kind %s in the container", t.Bridge, kind)
		}
		master = bridge.Attrs().Index
	}
	if err := on.Do(func() error { return t.labelled(func() error { return t.make(l.Name) }) }); err != nil {
		return err
	}
	on.Forget()
	link, err := need(on, l.Name)
	if err != nil {
		return err
	}
	if err := on.Conn.Send(rtnl.Fit(link.Attrs().Index, l.MAC, l.MTU, master)); err != nil {
		return fault.Join(err, remove(on, link))
	}
	return nil
}

func (t Tap) make(name string) error {
	fd, err := unix.Open(tunDevice, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", tunDevice, err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	request.SetUint16(t.flags())
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return fmt.Errorf("make: %w", err)
	}
	for _, who := range []struct {
		request uint
		id      int64
	}{{unix.TUNSETOWNER, t.Owner}, {unix.TUNSETGROUP, t.Group}} {
		if who.id >= 0 {
			if err := unix.IoctlSetInt(fd, who.request, int(who.id)); err != nil {
				return fmt.Errorf("owner or group %d: %w", who.id, err)
			}
		}
	}
	return unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1)
}

// flags are those of TUNSETIFF: an existing link is none to be attached to.
func (t Tap) flags() uint16 {
	flags := uint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_TUN_EXCL)
	if t.MultiQueue {
		flags |= unix.IFF_MULTI_QUEUE
	}
	if t.VnetHdr {
		flags |= unix.IFF_VNET_HDR
	}
	return flags
}

// labelled runs f as a thread with the SELinux context, which the link gets from it.
func (t Tap) labelled(f func() error) error {
	const current = "/proc/thread-self/attr/current"
	if t.Label == "" {
		return f()
	}
	own, err := os.ReadFile(current)
	if err == nil {
		err = os.WriteFile(current, []byte(t.Label), 0)
	}
	if err != nil {
		return fault.New(fault.Unsupported, "allow the plugin that transition, or leave selinuxContext out", "selinuxContext: %s: %w", t.Label, err)
	}
	return fault.Join(f(), os.WriteFile(current, bytes.TrimRight(own, "\x00\n"), 0))
}

func (t Tap) explain(_ *site.Site, _ Lone, err error) error { return err }

// verify looks at what stays as it was made. Whether frames have a header, or packet information, says each program anew that opens the tap.
func (t Tap) verify(side *site.Side, link netlink.Link) error {
	found, ok := link.(*netlink.Tuntap)
	if !ok {
		return nil // said by Lone
	}
	name := link.Attrs().Name
	user, group, err := side.Conn.TunOwners(link.Attrs().Index)
	errs := []error{err}
	for _, c := range []struct {
		what        string
		want, found any
	}{
		{"mode", "tap", map[bool]string{true: "tap", false: "tun"}[found.Mode == unix.IFF_TAP]},
		{"owner", whoever(t.Owner), whoever(user)},
		{"group", whoever(t.Group), whoever(group)},
		{"multiQueue", t.MultiQueue, found.Flags&netlink.TUNTAP_MULTI_QUEUE != 0},
		{"bridge", t.Bridge, masterName(side, link)},
	} {
		if c.want != c.found {
			errs = append(errs, drift(c.what+" of "+name, c.want, c.found))
		}
	}
	return fault.Join(errs...)
}

func whoever(id int64) any {
	if id < 0 {
		return "any"
	}
	return id
}

func masterName(side *site.Side, link netlink.Link) string {
	index := link.Attrs().MasterIndex
	if index == 0 {
		return ""
	}
	return nameOf(side.LinkByIndex(index))
}
