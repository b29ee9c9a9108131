package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
)

// onTwo: a container on two of the runtime's networks at once has an interface on each, is a neighbour on both, and is reached by its port; so it is once it was stopped and
// started, and nothing is left of it on either.
func onTwo(t *Trial) error { return t.onLabs(t.onBoth) }

// onLabs has the networks for as long as f runs, and leaves nothing of them.
func (t *Trial) onLabs(f func() error) error {
	return errors.Join(t.withLabs(nil, f), unisolated())
}

func (t *Trial) onBoth() error {
	p, _, err := t.on("lab99", 18089, "--network", "lab98")
	_, near, err2 := t.on("lab99", 0)
	_, far, err3 := t.on("lab98", 0)
	if err := errors.Join(err, err2, err3); err != nil {
		return err
	}
	whole := func() error {
		four, err := addressesOf(p)
		return errors.Join(err, reachable(p, 18089), answersAt(far, four[0], p), answersAt(near, four[1], p))
	}
	if err := whole(); err != nil {
		return err
	}
	if err := t.again(p); err != nil {
		return err
	}
	return whole()
}

// addressesOf are those that the container has on lab98 and lab99; which of them is on eth0, nobody says.
func addressesOf(p *Pod) (four [2]string, err error) {
	home, err := p.namespace()
	if err != nil {
		return four, err
	}
	err = in(home, func() error {
		return errors.Join(firstAddress("eth0", &four[0]), firstAddress("eth1", &four[1]))
	})
	slices.Sort(four[:])
	return four, err
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
func sharing(t *Trial) error { return t.onLabs(t.shared) }

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

// podOfSeveral: podman's pod has the network, and its containers share it; it is stopped and started as a whole, and by one container.
func podOfSeveral(t *Trial) error { return t.onLabs(t.trio) }

func (t *Trial) trio() error {
	p := &Pod{Name: "trio-server", Host: 18089}
	for _, words := range []string{
		"pod create --name trio --infra-image " + imageName + " --cgroup-parent /" + cgroup + " --network lab99 --publish 18089:8080",
		"run --detach --pull never --pod trio --name trio-beside " + imageName + " pause",
		"run --detach --pull never --pod trio --name trio-server " + imageName + " serve trio-server",
		"", "restart trio-server",
		"", "rm --force --time 5 trio-beside",
		"", "pod restart trio",
		"", "pod stop --time 5 trio", "pod start trio",
		"", "pod rm --force --time 5 trio",
	} {
		err := error(nil)
		if words == "" {
			err = reachable(p, 18089)
		} else {
			_, err = program("podman", strings.Fields(words)...)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", words, err)
		}
	}
	return nil
}
