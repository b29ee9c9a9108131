// Package step is the vocabulary of plans: the kinds of things that an attachment consists of. Each file has one kind with its
// Apply, Undo and Verify, to be read side by side.
package step

import (
	"bytes"
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// drift is what Verify answers where something is not as it was made. what may be empty where the step's name says it.
func drift(what string, expected, found any) error {
	if what != "" {
		what += ": "
	}
	return fault.New(fault.Drift, "", "%sexpected %v, found %v", what, expected, found)
}

// find returns the named link, nil when there is none.
func find(side *site.Side, name string) (netlink.Link, error) {
	link, err := side.LinkByName(name)
	if absentLink(err) {
		return nil, nil
	}
	return link, err
}

// absentLink says whether err means that a link is not there.
func absentLink(err error) bool { return errors.Is(err, unix.ENODEV) }

// need returns the named link, or an error in the words that callers look for (go-cni takes "not found" as gone).
func need(side *site.Side, name string) (netlink.Link, error) {
	link, err := find(side, name)
	if err == nil && link == nil {
		err = absent(side, name)
	}
	return link, err
}

func absent(side *site.Side, name string) error {
	return fault.New(fault.Drift, "", "link %s: not found on the %s", name, where(side))
}

func where(side *site.Side) string {
	if side.NS < 0 {
		return "host"
	}
	return "container's side"
}

// inside returns the container's side, or an error where the sandbox is gone and the step cannot do without.
func inside(s *site.Site) (*site.Side, error) {
	if s.Container == nil {
		return nil, fault.New(fault.Namespace, "", "sandbox: gone")
	}
	return s.Container, nil
}

func isUp(link netlink.Link) bool { return link.Attrs().Flags&net.FlagUp != 0 }

func sameMAC(name string, want net.HardwareAddr, link netlink.Link) error {
	if got := link.Attrs().HardwareAddr; want != nil && !bytes.Equal(want, got) {
		return drift("mac of "+name, want, got)
	}
	return nil
}

func remove(side *site.Side, link netlink.Link) error {
	if err := side.Conn.Send(rtnl.DelLink(link.Attrs().Index)); err != nil && !absentLink(err) {
		return fmt.Errorf("remove: %w", err)
	}
	return nil
}
