package step

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/lent"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Device says which link of the host is meant. The first word that is there counts.
type Device struct {
	Name      string
	MAC       net.HardwareAddr
	Path      string // of its device, below /sys/devices
	PCI       string // address of its device
	Auxiliary string // name of its auxiliary device
}

// Where the kernel tells of devices.
const (
	pciDevices       = "/sys/bus/pci/devices"
	auxiliaryDevices = "/sys/bus/auxiliary/devices"
)

// OfID reads a device's ID as a runtime gives it: a PCI address, or the name of an auxiliary device; false for neither.
func (d Device) OfID(id string) (Device, bool) {
	there := func(dir string) bool { _, err := os.Stat(filepath.Join(dir, id)); return err == nil }
	switch {
	case strings.Trim(id, ".") == "" || id != filepath.Base(id):
		return d, false
	case there(pciDevices):
		d.PCI = id
	case there(auxiliaryDevices):
		d.PCI, d.Auxiliary = "", id
	default:
		return d, false
	}
	return d, true
}

// ForPrograms says whether the device is driven by a program, past the kernel (DPDK): then it has no link.
func (d Device) ForPrograms() bool {
	if d.PCI == "" {
		return false
	}
	driver, err := os.Readlink(filepath.Join(pciDevices, d.PCI, "driver"))
	return err == nil && slices.Contains([]string{"vfio-pci", "uio_pci_generic", "igb_uio"}, filepath.Base(driver))
}

func (d Device) String() string {
	for _, word := range []string{d.Name, d.MAC.String(), d.Path, d.PCI, d.Auxiliary} {
		if word != "" {
			return word
		}
	}
	return "none"
}

// find returns the link. One that came home from a container that died has the container's name for it, and its own as its alias.
func (d Device) find(host *site.Side) (netlink.Link, error) {
	is := func(link netlink.Link) bool { return bytes.Equal(link.Attrs().HardwareAddr, d.MAC) }
	if d.Name != "" || d.MAC == nil {
		name, err := d.name()
		if err != nil {
			return nil, err
		}
		if link, err := find(host, name); err != nil || link != nil {
			return link, err
		}
		is = func(link netlink.Link) bool { return link.Attrs().Alias == name }
	}
	links, err := host.LinkList()
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(links, is); i >= 0 {
		return links[i], nil
	}
	return nil, d.missing()
}

// missing says who has it, if that is known.
func (d Device) missing() error {
	all, _ := lent.All() // what cannot be read is not named
	for _, other := range all {
		is := func(folder string) bool { n := node(folder); return n != 0 && n == other.Node }
		if other.Name == d.Name && d.Name != "" || other.MAC == d.MAC.String() && d.MAC != nil || slices.ContainsFunc(d.folders(), is) {
			return fault.New(fault.Taken, "delete that attachment, or name another device", "device %s: attachment %s has it", d, other.Owner())
		}
	}
	return fault.New(fault.Config, "see ip link", "device %s: not found on the host", d)
}

// node is the number by which the kernel's tree of devices knows a folder, by whatever path; 0 where there is none.
func node(folder string) uint64 {
	var stat unix.Stat_t
	if unix.Stat(folder, &stat) != nil {
		return 0
	}
	return stat.Ino
}

// folders are where the kernel tells of the device; none for a link that is named itself.
func (d Device) folders() []string {
	switch {
	case d.Name != "" || d.MAC != nil:
		return nil
	case d.Path != "":
		return []string{d.Path}
	case d.PCI != "":
		pci := filepath.Join(pciDevices, d.PCI)
		virtio, _ := filepath.Glob(filepath.Join(pci, "virtio*")) // no address is a pattern
		return append([]string{pci}, virtio...)
	}
	return []string{filepath.Join(auxiliaryDevices, d.Auxiliary)}
}

// name is that of the one link that the device has.
func (d Device) name() (string, error) {
	if d.Name != "" {
		return d.Name, nil
	}
	for _, folder := range d.folders() {
		entries, err := os.ReadDir(filepath.Join(folder, "net"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("device %s: %w", d, err)
		}
		switch len(entries) {
		case 0:
		case 1:
			return entries[0].Name(), nil
		default:
			var names []string
			for _, e := range entries {
				names = append(names, e.Name())
			}
			return "", fault.New(fault.Config, "name one of them as device", "device %s: has the links %s", d, strings.Join(names, ", "))
		}
	}
	return "", d.missing()
}
