package space

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Uplink joins the host with a namespace that is the world outside, by the link uplink here and eth0 there: the host is 192.0.2.1 and
// 2001:db8::1, and the other end .2 and ::2.
func Uplink(outside string) error {
	there, err := os.Open(outside)
	if err != nil {
		return err
	}
	defer there.Close()
	err = netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "uplink"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(there.Fd())),
	})
	if err != nil {
		return fmt.Errorf("uplink: %w", err)
	}
	return errors.Join(Addresses("uplink", "192.0.2.1/24", "2001:db8::1/64"),
		In(outside, func() error { return Addresses("eth0", "192.0.2.2/24", "2001:db8::2/64") }))
}

// Addresses sets a link up with addresses that can be used at once: without duplicate address detection.
func Addresses(name string, cidrs ...string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	for _, cidr := range cidrs {
		address, err := netlink.ParseAddr(cidr)
		if err != nil {
			return err
		}
		if strings.Contains(cidr, ":") {
			address.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(link, address); err != nil {
			return fmt.Errorf("%s %s: %w", name, cidr, err)
		}
	}
	return netlink.LinkSetUp(link)
}
