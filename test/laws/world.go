package laws

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/snapshot"
	"github.com/trestle-cni/trestle/test/space"
)

// World is one host with one network, and the part of a runtime.
type World struct {
	testing.TB
	Chain
	Kinds  map[string]Kind
	Path   string  // CNI_PATH: the folder of the built plugins
	Plant  Rewrite // a fault in all plans, for the test of the laws; nil: none
	Long   bool    // all cases where a sample is usual
	Turn   int     // of several networks, which it is: each has a sample of its own
	Crowd  int     // how many ADDs at the same time law 8 is about
	Rounds int     // how often they come; 0: once

	// Program returns a command that is the plugin of that name in a process of its own, with the plans rewritten as the name of a rewrite
	// says, which the caller's TestMain must know.
	Program func(plugin, rewrite string) *exec.Cmd

	one, other Container
}

// Container is one container of the host.
type Container struct {
	ID     string
	Netns  string
	Number int
}

// container is container number n before it is there.
func container(n int) Container {
	id := fmt.Sprintf("ctr%d", n)
	return Container{ID: id, Netns: "/run/netns/" + id, Number: n}
}

// attachment is an entry of cni.dev/valid-attachments.
type attachment struct {
	ContainerID string `json:"containerID"`
	IfName      string `json:"ifname"`
}

const ifName = "eth0"

// Settle makes the two containers that most laws need. It must be called in a host of the test's own (nstest.Run).
func (w *World) Settle() {
	w.Helper()
	if err := errors.Join(w.wire(), w.devices()); err != nil {
		w.Fatal(err)
	}
	w.one, w.other = w.container(0), w.container(1)
}

// wire makes the link that the network's links hang on, with its carrier and an address of the host's.
func (w *World) wire() error {
	master := text(w.flat().Plugins[0]["master"])
	if master == "" {
		return nil
	}
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: master}, PeerName: master + "-far"}); err != nil {
		return err
	}
	for _, name := range []string{master + "-far", master} {
		link, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		if err != nil {
			return err
		}
	}
	link, err := netlink.LinkByName(master)
	if err != nil {
		return err
	}
	for _, text := range []string{"10.1.0.250/24", "fd00:1::250/64"} {
		address, err := netlink.ParseAddr(text)
		if err == nil {
			address.Flags = unix.IFA_F_NODAD
			err = netlink.AddrAdd(link, address)
		}
		if err != nil {
			return err
		}
	}
	if w.flat().addressedBy(0) == "dhcp" {
		return w.lend(master + "-far")
	}
	return nil
}

// devices makes a device of the host's for each container that may come, with its MTU, its state and an address.
func (w *World) devices() error {
	name := text(w.flat().Plugins[0]["device"])
	if name == "" {
		return nil
	}
	for n := range w.Crowd + 3 {
		device := deviceOf(name, n)
		err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: device, MTU: 1400, TxQLen: 77}, PeerName: device + "-far"})
		if err == nil {
			err = errors.Join(space.Addresses(device+"-far"), space.Addresses(device, fmt.Sprintf("198.18.%d.1/24", n), fmt.Sprintf("fd00:%x::1/64", n+0x100)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addressedBy is the type of the address plugin of a member; empty for none.
func (w *World) addressedBy(member int) string {
	return text(decodeOrNone(w.Plugins[member]["ipam"])["type"])
}

func (w *World) container(n int) Container {
	w.Helper()
	c := container(n)
	nstest.Namespace(w, c.ID)
	if err := nstest.In(c.Netns, w.furnish); err != nil {
		w.Fatal(err)
	}
	return c
}

// furnish sets lo up, as every runtime does that has no plugin do it. Duplicate address detection takes a second or two for each ADD that waits for its end;
// what is left of an ADD does not depend on that, so only a long run sends the probes.
func (w *World) furnish() error {
	if !slices.ContainsFunc(w.Plugins, func(c Config) bool { return c.Type() == "loopback" }) {
		lo, err := netlink.LinkByName("lo")
		if err == nil {
			err = netlink.LinkSetUp(lo)
		}
		if err != nil {
			return err
		}
	}
	if w.Long {
		return nil
	}
	return os.WriteFile("/proc/sys/net/ipv6/conf/default/dad_transmits", []byte("0"), 0o644)
}

// keepsBooks says whether the work of the call's plugin is found on the host (plan.Ledger; reservations). That is where a GC looks, and a DEL
// without a namespace. Other work is in the namespace alone, and goes with it.
func (w *World) keepsBooks(c call) (bool, error) {
	if w.kind(c).Plan == nil {
		return true, nil
	}
	p, err := w.planned(c)
	keeps := func(s plan.Step) bool { return is[plan.Ledger](s) && !within(s) }
	return err != nil || slices.ContainsFunc(p.Steps, keeps) || w.reserves(c), err
}

// reserves says whether the address plugin writes down what it gives.
func (w *World) reserves(c call) bool {
	return slices.Contains([]string{"host-local", "dhcp"}, w.addressedBy(c.member))
}

// keepBooks is keepsBooks for any of the chain's plugins.
func (w *World) keepBooks() (bool, error) {
	for member := range w.Plugins {
		if books, err := w.keepsBooks(call{verb: "ADD", member: member, of: w.one}); books || err != nil {
			return books, err
		}
	}
	return false, nil
}

// sampled says whether a law's case with that number is tried: all are in a long run; otherwise every other one for a whole chain, every fourth for a
// plugin alone, and which these are differs from one network to the next, so that the networks together have them all.
func (w *World) sampled(number int) bool {
	every := 2
	if len(w.Plugins) == 1 {
		every = 4
	}
	return w.Long || (number+w.Turn)%every == 0
}

func is[T any](step plan.Step) bool {
	_, ok := plan.As[T](step)
	return ok
}

// snapshot returns the state of the host and of the containers.
func (w *World) snapshot() string {
	w.Helper()
	return snapshot.Take(w, w.one.Netns, w.other.Netns)
}

// same compares the state with an earlier one.
func (w *World) same(before, after string) error {
	w.Helper()
	if diff := snapshot.Diff(before, w.snapshot()); diff != "" {
		return fmt.Errorf("%s: the state is not as it was:\n%s", after, diff)
	}
	return nil
}
