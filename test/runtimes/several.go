package main

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
)

// onTwo: a container on two of the runtime's networks at once has an interface on each, is a neighbour on both, and is reached by its port; so it is once it was stopped and
// started, and nothing is left of it on either.
func onTwo(t *Trial) error {
	return errors.Join(t.withLabs(nil, t.onBoth), unisolated())
}

func (t *Trial) onBoth() error {
	p, home, err := t.on("lab99", 18089, "--network", "lab98")
	_, near, err2 := t.on("lab99", 0)
	_, far, err3 := t.on("lab98", 0)
	if err := errors.Join(err, err2, err3); err != nil {
		return err
	}
	e := t.Runtime.(engine)
	for _, verb := range []string{"run", "stop", "start"} {
		if verb != "run" {
			if _, err := e.tool(verb, p.Name); err != nil {
				return err
			}
		}
		if verb == "stop" {
			continue
		}
		if home, err = p.namespace(); err != nil {
			return err
		}
		var four [2]string
		err := in(home, func() (err error) {
			for i, name := range []string{"eth0", "eth1"} {
				err = errors.Join(err, firstAddress(name, &four[i]))
			}
			return err
		})
		if four[0] > four[1] { // nobody says which network is first
			four[0], four[1] = four[1], four[0]
		}
		err = errors.Join(err, reachable(p, 18089), answersAt(far, four[0], p), answersAt(near, four[1], p))
		if err != nil {
			return fmt.Errorf("after %s: %v: %w", verb, four, err)
		}
	}
	return nil
}

func firstAddress(name string, four *string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	list, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil || len(list) != 1 {
		return fmt.Errorf("%s has %v: %w", name, list, err)
	}
	*four = list[0].IP.String()
	return nil
}

// sharing: what joins a container's namespace gets no network of its own, and takes none away when it goes.
func sharing(t *Trial) error {
	return errors.Join(t.withLabs(nil, t.shared), unisolated())
}

func (t *Trial) shared() error {
	p, _, err := t.on("lab99", 18089)
	if err != nil {
		return err
	}
	e := t.Runtime.(engine)
	for range 2 {
		if _, err := e.tool("run", "--detach", "--pull", "never", "--cgroup-parent", "/"+cgroup, "--name", "guest", "--network", "container:"+p.Name, imageName, "pause"); err != nil {
			return err
		}
		_, err := e.tool("rm", "--force", "guest")
		if err := errors.Join(err, reachable(p, 18089)); err != nil {
			return err
		}
	}
	return nil
}
