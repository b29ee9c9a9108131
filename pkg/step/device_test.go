package step

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/lent"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/test/nstest"
)

var lending = Moved{Owner: one, IfName: "eth0", Device: Device{Name: "dev0"}, Return: Addressed}

// device makes a link of the host's with something of everything, and returns the state.
func (h *host) device() string {
	h.Helper()
	h.run("ip link add dev0 type veth peer name far0")
	h.run("ip link set far0 up")
	h.run("ip link set dev0 mtu 1400 txqueuelen 77 alias mine up")
	h.run("ip addr add 10.9.0.1/24 dev dev0")
	h.run("ip addr add 10.8.1.1 peer 10.8.1.2/32 dev dev0 label dev0:7")
	h.run("ip addr add fd08::1/64 dev dev0 nodad noprefixroute")
	return h.snapshot()
}

// A device comes back as it was, whatever way it left the container.
func TestMovedComesBack(t *testing.T) {
	for name, leaves := range map[string]func(*host){
		"by DEL":           func(*host) {},
		"renamed inside":   func(h *host) { h.inside("ip link set eth0 name x9") },
		"mark lost inside": func(h *host) { h.inside("ip\nlink\nset\neth0\nalias\n") },
		"set up inside":    func(h *host) { h.inside("ip link set eth0 mtu 1300 up"); h.inside("ip addr add 10.8.0.2/24 dev eth0") },
		"by the kernel, as the namespace died": func(h *host) {
			h.inside(fmt.Sprintf("ip link set eth0 netns %d", os.Getpid()))
			h.Site = h.open("")
		},
	} {
		t.Run(name, func(t *testing.T) {
			onHost(t, func(h *host) {
				before := h.device()
				h.must(lending.Guard(h.ctx, h.Site))
				if created, err := lending.Apply(h.ctx, h.Site); !created || err != nil {
					t.Fatalf("created %v, %v", created, err)
				}
				h.must(lending.Verify(h.ctx, h.Site))
				if created, err := lending.Apply(h.ctx, h.Site); created || err != nil {
					t.Errorf("again: created %v, %v", created, err)
				}
				leaves(h)
				for range 2 {
					h.Site.Host.Forget()
					h.must(lending.Undo(h.ctx, h.Site))
					h.same("undone", before)
				}
			})
		})
	}
}

// One that the kernel brought home under the container's name is found by its own, by whoever asks next.
func TestMovedStrays(t *testing.T) {
	onHost(t, func(h *host) {
		before := h.device()
		h.apply(lending)
		h.inside(fmt.Sprintf("ip link set eth0 netns %d", os.Getpid()))
		h.Site = h.open(nstest.Namespace(h, "c2"))
		next := lending
		next.Owner = owner.Of("net", "c2", "eth0")
		h.must(next.Guard(h.ctx, h.Site))
		h.apply(next)
		h.must(next.Verify(h.ctx, h.Site))
		h.must(next.Undo(h.ctx, h.Site))
		h.same("undone", before)
	})
}

func TestMovedRefuses(t *testing.T) {
	onHost(t, func(h *host) {
		h.device()
		h.apply(br)
		h.run("ip link set dev0 master br0")
		refuses(t, lending.Guard(h.ctx, h.Site), fault.Config, "device dev0: a port of br0")
		h.run("ip link set dev0 nomaster")
		h.run("ip link add other type veth peer name end")
		h.run("ip link set end up")
		h.run("ip link set other up")
		for _, way := range []string{"ip -4 route %s default via 10.9.0.9 dev dev0", "ip -4 route %s default nexthop dev other nexthop via 10.9.0.9 dev dev0",
			"ip -6 route %s default via fe80::9 dev dev0", "ip -6 route %s default nexthop via fe80::9 dev other nexthop via fe80::8 dev dev0"} {
			h.run(fmt.Sprintf(way, "add"))
			refuses(t, lending.Guard(h.ctx, h.Site), fault.Config, "the host's default route leads by it")
			h.run(fmt.Sprintf(way, "del"))
		}
		h.run("ip route add default dev other metric 7")
		h.run("ip route add default via 10.9.0.9 dev dev0 metric 9") // which nobody takes
		h.must(lending.Guard(h.ctx, h.Site))
		h.run("ip route del default dev other metric 7")
		forced := lending
		forced.Force = true
		h.must(forced.Guard(h.ctx, h.Site))
		h.run("ip route del default")
		h.apply(lending)
		other := h.open(nstest.Namespace(h, "c2"))
		refuses(t, lending.Guard(h.ctx, other), fault.Taken, "attachment net/c1/eth0 has it")
		refuses(t, Moved{Device: Device{Name: "dev7"}, IfName: "eth0"}.Guard(h.ctx, other), fault.Config, "device dev7: not found on the host")
		h.run("ip link add dev0 type veth peer name other1")
		refuses(t, lending.Undo(h.ctx, h.Site), fault.Taken, "the host has another link of that name")
		h.run("ip link del dev0")
		h.must(lending.Undo(h.ctx, h.Site))
		if link, err := find(h.Site.Host, "dev0"); err != nil || link == nil {
			t.Errorf("not back: %v", err)
		}
	})
}

// What the reference took has no note of ours: its alias is its name.
func TestMovedOfReference(t *testing.T) {
	onHost(t, func(h *host) {
		h.run("ip link add dev0 type veth peer name far0")
		before := h.snapshot()
		h.run("ip link set dev0 netns c1 name eth0")
		h.inside("ip link set eth0 alias dev0 up")
		h.must(lending.Verify(h.ctx, h.Site))
		h.must(lending.Undo(h.ctx, h.Site))
		h.same("undone", before)
	})
}

// The ways to say which device is meant, on a machine that is made up.
func TestDevice(t *testing.T) {
	onHost(t, func(h *host) {
		h.run("mount -t tmpfs none /sys/bus")
		h.run("ip link add dev0 type veth peer name far0")
		h.run("ip link set dev0 address 02:00:00:00:00:07")
		for _, dir := range []string{"pci/devices/0000:00:01.0/net/dev0", "pci/devices/0000:00:02.0/virtio3/net/dev0", "auxiliary/devices/mlx5_core.sf.4/net/dev0",
			"pci/devices/0000:00:03.0/net/dev0", "pci/devices/0000:00:03.0/net/dev1", "pci/devices/0000:00:04.0", "pci/drivers/vfio-pci"} {
			h.must(os.MkdirAll(filepath.Join("/sys/bus", dir), 0o755))
		}
		h.must(os.Symlink("/sys/bus/pci/drivers/vfio-pci", "/sys/bus/pci/devices/0000:00:04.0/driver"))
		for _, d := range []Device{{Name: "dev0"}, {MAC: net.HardwareAddr{2, 0, 0, 0, 0, 7}}, {PCI: "0000:00:01.0"}, {PCI: "0000:00:02.0"},
			{Auxiliary: "mlx5_core.sf.4"}, {Name: "dev0", PCI: "0000:00:03.0"}, {Path: "/sys/bus/pci/devices/0000:00:01.0"}} {
			if link, err := d.find(h.Site.Host); err != nil || link.Attrs().Name != "dev0" {
				t.Errorf("%s: %v", d, err)
			}
		}
		_, err := Device{PCI: "0000:00:03.0"}.find(h.Site.Host)
		refuses(t, err, fault.Config, "has the links dev0, dev1")
		_, err = Device{PCI: "0000:00:09.0"}.find(h.Site.Host)
		refuses(t, err, fault.Config, "device 0000:00:09.0: not found")
		for id, want := range map[string]Device{"0000:00:01.0": {PCI: "0000:00:01.0"}, "mlx5_core.sf.4": {Auxiliary: "mlx5_core.sf.4"}} {
			if d, known := (Device{PCI: "other"}).OfID(id); !known || d.String() != want.String() {
				t.Errorf("%s: %s, %v", id, d, known)
			}
		}
		for _, id := range []string{"", "nobody", "../devices/0000:00:01.0"} {
			if _, known := (Device{}).OfID(id); known {
				t.Errorf("%q: known", id)
			}
		}
		if !(Device{PCI: "0000:00:04.0"}).ForPrograms() || (Device{PCI: "0000:00:01.0"}).ForPrograms() {
			t.Error("not those that a program drives")
		}
	})
}

// sysfs makes up a machine on which the device dev0 is the network card, and has no other link.
func (h *host) sysfs(card string) {
	h.Helper()
	h.run("mount -t tmpfs none /sys/bus")
	h.run("mount -t tmpfs none /sys/class/net")
	h.must(os.MkdirAll(filepath.Join(card, "net/dev0"), 0o755))
	h.must(os.MkdirAll("/sys/class/net/dev0", 0o755))
	h.must(os.Symlink(card, "/sys/class/net/dev0/device"))
}

// Of two containers that ask for one device the second is told who has it, by whatever words each of them asks.
func TestMovedKnown(t *testing.T) {
	const pci, virtio, auxiliary = "/sys/bus/pci/devices/0000:00:02.0", "/sys/bus/pci/devices/0000:00:02.0/virtio3", "/sys/bus/auxiliary/devices/mlx5_core.sf.4"
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 7}
	for card, words := range map[string][]Device{
		pci:       {{Name: "dev0"}, {MAC: mac}, {PCI: "0000:00:02.0"}, {Path: pci}},
		virtio:    {{Name: "dev0"}, {MAC: mac}, {PCI: "0000:00:02.0"}, {Path: virtio}},
		auxiliary: {{Name: "dev0"}, {MAC: mac}, {Auxiliary: "mlx5_core.sf.4"}, {Path: auxiliary}},
	} {
		t.Run(filepath.Base(card), func(t *testing.T) {
			onHost(t, func(h *host) {
				h.sysfs(card)
				h.run("ip link add dev0 address 02:00:00:00:00:07 type veth peer name far0")
				other := h.open(nstest.Namespace(h, "c2"))
				for _, first := range words {
					lent := Moved{Owner: one, IfName: "eth0", Device: first, Return: LinkState}
					h.must(lent.Guard(h.ctx, h.Site))
					h.apply(lent)
					h.must(os.Remove(filepath.Join(card, "net/dev0"))) // as the kernel does
					for _, second := range words {
						refuses(t, Moved{Device: second, IfName: "eth0"}.Guard(h.ctx, other), fault.Taken, "device "+second.String()+": attachment net/c1/eth0 has it")
					}
					h.must(lent.Undo(h.ctx, h.Site))
					h.must(os.Mkdir(filepath.Join(card, "net/dev0"), 0o755))
				}
			})
		})
	}
}

// What the kernel tells of a device may be anything: none is taken that was not meant, and it is said what is wrong.
func TestDeviceOddities(t *testing.T) {
	const pci = "/sys/bus/pci/devices/0000:00:02.0"
	for name, c := range map[string]struct {
		device Device
		odd    string // a command
		want   string
	}{
		"no folder of links":     {Device{PCI: "0000:00:02.0"}, "rm -r net", "not found on the host"},
		"an empty one":           {Device{PCI: "0000:00:02.0"}, "rmdir net/dev0", "not found on the host"},
		"a file":                 {Device{PCI: "0000:00:02.0"}, "rm -r net; touch net", "not a directory"},
		"a link of another name": {Device{PCI: "0000:00:02.0"}, "mv net/dev0 net/gone", "not found on the host"},
		"a name that is none":    {Device{PCI: "0000:00:02.0"}, "mv net/dev0 net/a-very-long-name-of-a-link", "not found on the host"},
		"links of two functions": {Device{PCI: "0000:00:02.0"}, "mkdir -p virtio1/net/dev1", ""},
		"two links":              {Device{PCI: "0000:00:02.0"}, "mkdir net/dev1", "has the links dev0, dev1"},
		"two, below virtio":      {Device{PCI: "0000:00:02.0"}, "rm -r net; mkdir -p virtio1/net/dev0 virtio1/net/dev1", "has the links dev0, dev1"},
		"a loop":                 {Device{PCI: "0000:00:02.0"}, "rm -r net; ln -s net net", "too many levels"},
		"its neighbour":          {Device{PCI: "0000:00:02.1"}, "true", "not found on the host"},
		"another's function":     {Device{PCI: "0000:00:02.0"}, "rmdir net/dev0; mkdir -p ../0000:00:02.1/virtio1/net/dev0", "not found on the host"},
		"a path to nowhere":      {Device{Path: pci + "/virtio9"}, "true", "not found on the host"},
		"no auxiliary devices":   {Device{Auxiliary: "mlx5_core.sf.4"}, "true", "not found on the host"},
		"an address of zeros":    {Device{MAC: make(net.HardwareAddr, 6)}, "true", "not found on the host"},
	} {
		t.Run(name, func(t *testing.T) {
			onHost(t, func(h *host) {
				h.sysfs(pci)
				h.run("ip link add dev0 type veth peer name far0")
				h.run("sh\n-ec\ncd " + pci + "; " + c.odd)
				before := h.snapshot()
				err := Moved{Owner: one, IfName: "eth0", Device: c.device}.Guard(h.ctx, h.Site)
				if c.want == "" {
					h.must(err)
				} else if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %q", err, c.want)
				}
				h.same("asked", before)
			})
		})
	}
}

// The host's rules that lead from a device's addresses to its routes keep a step's promises in the container; others stay behind.
func TestAlong(t *testing.T) {
	onHost(t, func(h *host) {
		h.device()
		h.run("ip route add 198.51.100.0/24 via 10.9.0.9 dev dev0 table 100")
		h.run("ip rule add from 10.9.0.1 lookup 100")
		h.run("ip rule add from 10.9.0.1 lookup 200")
		h.run("ip rule add from 10.8.0.1 lookup 100")
		lent := lending
		lent.Along = true
		along := Along{Owner: one, IfName: "eth0"}
		contract{base: []plan.Step{lent}, step: along, changes: []change{{"in ip rule del from 10.9.0.1 lookup 100", "", "rule from 10.9.0.1 lookup 100"}}}.hold(h)
		if rules, err := along.rules(); err != nil || len(rules) != 1 {
			t.Errorf("%v, %v", rules, err)
		}
	})
}

// One that died with the container's namespace never comes back: nothing of it is kept, and another of its name can be lent.
func TestMovedDies(t *testing.T) {
	onHost(t, func(h *host) {
		h.device()
		h.apply(lending)
		nstest.Remove(h, "/run/netns/c1")
		h.Site = h.open("")
		h.must(lending.Undo(h.ctx, h.Site))
		if all, err := lent.All(); len(all) > 0 || err != nil {
			t.Errorf("%+v, %v, want nothing", all, err)
		}
	})
}
