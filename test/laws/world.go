package laws

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/plugin"
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

// call is one verb for one plugin of the chain.
type call struct {
	verb     string
	member   int // index in Plugins
	of       Container
	prev     []byte         // prevResult; nil: none
	bare     bool           // no namespace and no runtimeConfig
	runtime  map[string]any // runtimeConfig in place of the configuration's
	valid    []attachment   // for GC
	unlisted bool           // a GC without a list of the valid
	rewrite  Rewrite
	part     string    // of a list: the plugin whose plans are rewritten; empty: all
	out      io.Writer // takes the output; nil: it is returned
	env      map[string]string
	spoil    func(member int, config Config) // changes what a plugin is sent
}

func (w *World) environment(c call) map[string]string {
	env := map[string]string{"CNI_COMMAND": c.verb, "CNI_CONTAINERID": c.of.ID, "CNI_NETNS": c.of.Netns, "CNI_IFNAME": ifName,
		"CNI_PATH": w.Path, "PATH": os.Getenv("PATH")}
	if c.bare {
		env["CNI_NETNS"] = ""
	}
	maps.Copy(env, c.env)
	return env
}

func (w *World) kind(c call) Kind { return w.Kinds[w.Plugins[c.member].Type()] }

// inProcess carries out the call in this process.
func (w *World) inProcess(c call) ([]byte, error) {
	return w.run(c, w.kind(c).in(c.part, w.Plant, c.rewrite))
}

func (w *World) run(c call, bundle plugin.Bundle) ([]byte, error) {
	config, err := w.stdin(c)
	if err != nil {
		return nil, err
	}
	var out, log bytes.Buffer
	streams := plugin.Streams{In: bytes.NewReader(config), Out: &out, Err: &log}
	if c.out != nil {
		streams.Out = c.out
	}
	if bundle.Run(context.Background(), w.kind(c).Name, w.environment(c), streams) == 0 {
		return out.Bytes(), nil
	}
	return nil, w.failure(c, out.Bytes(), log.Bytes())
}

// asProcess carries out the call as a runtime does, with the command given.
func (w *World) asProcess(c call, cmd *exec.Cmd) ([]byte, error) {
	config, err := w.stdin(c)
	if err != nil {
		return nil, err
	}
	for key, value := range w.environment(c) {
		cmd.Env = append(cmd.Env, key+"="+value)
	}
	var out, log bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(config), &out, &log
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w: %w", w.failure(c, out.Bytes(), log.Bytes()), err)
	}
	return out.Bytes(), nil
}

// built is the built plugin for the call.
func (w *World) built(c call) *exec.Cmd {
	return exec.Command(filepath.Join(w.Path, w.Plugins[c.member].Type()))
}

// Failure is the error object that a plugin answered with.
type Failure struct {
	Code uint
	Msg  string
	call string
}

func (f *Failure) Error() string { return fmt.Sprintf("%s: %s (code %d)", f.call, f.Msg, f.Code) }

func (w *World) failure(c call, out, log []byte) error {
	f := &Failure{call: c.verb + " of " + w.Plugins[c.member].Type()}
	if err := json.Unmarshal(out, f); err != nil && c.out == nil {
		f.Msg = fmt.Sprintf("no error object: %q, %q", out, log)
	}
	return f
}

// runner carries out a call.
type runner func(call) ([]byte, error)

// add adds the container to the network, plugin by plugin, and returns the last result.
func (w *World) add(run runner, c Container) (result []byte, err error) {
	return w.addUpTo(run, c, len(w.Plugins))
}

// addUpTo is add by the first n plugins.
func (w *World) addUpTo(run runner, c Container, n int) (result []byte, err error) {
	return w.addAs(run, call{of: c}, n)
}

// addAs is addUpTo with what the template says the calls have in common.
func (w *World) addAs(run runner, template call, n int) (result []byte, err error) {
	template.verb = "ADD"
	for member := range n {
		template.member, template.prev = member, result
		if result, err = run(template); err != nil {
			return nil, err
		}
	}
	return result, nil
}

// del removes the container from the network, in the reverse order. Its template says what the calls have in common.
func (w *World) del(run runner, template call) error {
	template.verb = "DEL"
	for member := range slices.Backward(w.Plugins) {
		template.member = member
		if _, err := run(template); err != nil {
			return err
		}
	}
	return nil
}

// all calls every plugin of the chain in order.
func (w *World) all(run runner, template call) error {
	for member := range w.Plugins {
		template.member = member
		if _, err := run(template); err != nil {
			return err
		}
	}
	return nil
}

// gc collects garbage; valid are the attachments to keep.
func (w *World) gc(valid ...attachment) error {
	if valid == nil {
		valid = []attachment{}
	}
	if err := w.all(w.inProcess, call{verb: "GC", valid: valid}); err != nil {
		return err
	}
	return w.vacate(valid)
}

// prime makes the ground: it adds and deletes the other container.
func (w *World) prime() error {
	result, err := w.add(w.inProcess, w.other)
	if err == nil {
		err = w.del(w.inProcess, call{of: w.other, prev: result})
	}
	if err != nil {
		return fmt.Errorf("ground: %w", err)
	}
	return nil
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
