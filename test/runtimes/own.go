package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/test/peer"
)

// engine is a runtime that writes networks of its own: bridge, portmap, firewall and tuning.
type engine interface {
	Runtime
	// tool runs its command.
	tool(arguments ...string) (string, error)
	// habits are the network of who names none, its bridge, and the words by which a network is kept from others.
	habits() (network, bridge string, isolated []string)
	// more are other sequences of commands that a container on a network stands.
	more() [][]string
}

const (
	ownAddress = "10.99.0.7"
	ownMAC     = "02:00:00:00:99:07"
)

// start starts a pod on a network, in docker's words, which are both engines'.
func start(e engine, p *Pod, network string, more ...string) error {
	arguments := []string{"run", "--detach", "--pull", "never", "--cgroup-parent", "/" + cgroup, "--name", p.Name, "--network", network}
	if p.Host != 0 {
		for _, protocol := range []string{"tcp", "udp"} {
			arguments = append(arguments, "--publish", fmt.Sprintf("%d:8080/%s", p.Host, protocol))
		}
	}
	if p.Address != "" {
		arguments = append(arguments, "--ip", p.Address)
	}
	_, err := e.tool(append(append(arguments, more...), imageName, "serve", p.Name)...)
	return err
}

// on starts a pod of its own name on a network of the runtime's.
func (t *Trial) on(network string, host uint16, more ...string) (*Pod, string, error) {
	t.made++
	p := &Pod{Name: fmt.Sprintf("pod%d", t.made), Host: host}
	t.pods = append(t.pods, p)
	if err := start(t.Runtime.(engine), p, network, more...); err != nil {
		return p, "", fmt.Errorf("on %s: %w", network, err)
	}
	namespace, err := p.namespace()
	return p, namespace, err
}

// ownNetworks: the default network as the runtime writes it, and two that it is told to make, with nothing but these plugins in the directory: ports,
// an address and an Ethernet address that were asked for, and no way from one network to the other; stopped and started, restarted, and whatever else the engine can do to it.
func ownNetworks(t *Trial) error {
	network, bridge, isolated := t.Runtime.(engine).habits()
	err := t.withLabs(isolated, func() error {
		return errors.Join(t.byDefault(network), t.clear(), t.onOwn(t.Runtime.(engine)))
	})
	_, deleted := program("ip", "link", "delete", bridge)
	return errors.Join(err, deleted, unisolated())
}

// withLabs has the runtime make the networks lab98 and lab99, with further words, for as long as f runs.
func (t *Trial) withLabs(more []string, f func() error) error {
	e := t.Runtime.(engine)
	for _, lab := range []string{"98", "99"} {
		create := append([]string{"network", "create", "--subnet", "10." + lab + ".0.0/24"}, more...)
		if _, err := e.tool(append(create, "lab"+lab)...); err != nil {
			return err
		}
	}
	err := errors.Join(f(), t.clear())
	for _, lab := range []string{"98", "99"} {
		_, removed := e.tool("network", "rm", "lab"+lab)
		err = errors.Join(err, removed)
	}
	return err
}

// unisolated takes away what the plugin firewall keeps of bridges, gone or not: its ground. Of containers nothing may be there.
func unisolated() error {
	text, err := state()
	if err != nil {
		return err
	}
	const table = "host element inet trestle_forward "
	for line := range strings.Lines(text) {
		of, is := strings.CutPrefix(line, table)
		if is && !strings.HasPrefix(of, "isolated ") && !strings.HasPrefix(of, "within ") {
			return fmt.Errorf("no container is left, but %s", line)
		}
	}
	program("nft", "delete", "table", "inet", "trestle_forward")
	program("nft", "delete", "table", "ip", "filter") // the reference's
	return nil
}

// byDefault: who names no network is reached by its port.
func (t *Trial) byDefault(network string) error {
	p, _, err := t.on(network, 18089)
	if err != nil {
		return err
	}
	return errors.Join(reachable(p, 18089), t.gone(p))
}

func reachable(p *Pod, port int) error {
	return eventually(func() error { return asks(outside, "tcp", fmt.Sprintf("%s:%d", host4, port), p.Name+" sees "+outside4) })
}

func (t *Trial) onOwn(e engine) error {
	p, home, err1 := t.on("lab99", 18089, "--ip", ownAddress, "--mac-address", ownMAC)
	beside, near, err2 := t.on("lab99", 0)
	other, far, err3 := t.on("lab98", 18088)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	whole := func() error {
		return errors.Join(reachable(p, 18089), reachable(other, 18088), in(home, asAsked), answersAt(near, ownAddress, p), severed(far),
			asks(home, "tcp", outside4+":8080", "outside sees "+host4))
	}
	if err := whole(); err != nil {
		return fmt.Errorf("%s, %s beside it, %s on the other network: %w", p.Name, beside.Name, other.Name, err)
	}
	for _, again := range append([][]string{{"stop", "start"}, {"restart"}}, e.more()...) {
		for _, verb := range again {
			if _, err := e.tool(append(strings.Fields(verb), p.Name)...); err != nil {
				return err
			}
		}
		var err error
		if home, err = p.namespace(); err != nil {
			return err
		}
		if err := whole(); err != nil {
			return fmt.Errorf("after %s: %w", strings.Join(again, " and "), err)
		}
	}
	return errors.Join(t.gone(p), t.gone(beside), t.gone(other))
}

// answersAt wants the pod with the address to answer a neighbour.
func answersAt(from, address string, p *Pod) error {
	return in(from, func() error {
		routes, err := netlink.RouteGet(net.ParseIP(address))
		if err != nil || len(routes) == 0 {
			return fmt.Errorf("no route to %s: %w", address, err)
		}
		return asks(from, "tcp", address+":8080", p.Name+" sees "+routes[0].Src.String())
	})
}

// severed wants no answer from the other network.
func severed(from string) error {
	return in(from, func() error {
		if answer, err := peer.Ask("tcp", ownAddress+":8080", 2*time.Second); err == nil {
			return fmt.Errorf("from another network %s is reached: %s", ownAddress, answer)
		}
		return nil
	})
}

// asAsked wants eth0 to have what was asked for.
func asAsked() error {
	link, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	if link.Attrs().HardwareAddr.String() != ownMAC {
		return fmt.Errorf("eth0 has Ethernet address %s, want %s", link.Attrs().HardwareAddr, ownMAC)
	}
	list, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil || len(list) != 1 || list[0].IP.String() != ownAddress {
		return fmt.Errorf("eth0 has %v, want %s: %w", list, ownAddress, err)
	}
	return nil
}
