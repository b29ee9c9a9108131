package e2e

import (
	"slices"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// probedCmd waits until each link of the host that is up has a link-local address that was probed (RFC 4862, section 5.4): by it the kernel asks for a
// neighbour, and whoever sends before, through a link that has no other address, is told that there is no way. On a busy machine that takes some seconds.
func probedCmd(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, "probed", len(args) == 0)
	done := make(chan struct{})
	defer close(done)
	changes := make(chan netlink.AddrUpdate)
	ts.Check(netlink.AddrSubscribe(changes, done))
	for late := time.After(soon()); ; {
		waiting, err := unprobed()
		ts.Check(err)
		if len(waiting) == 0 {
			return
		}
		select {
		case <-changes:
		case <-late:
			ts.Fatalf("no address that was probed: %v", waiting)
		}
	}
}

// unprobed are the links that are up and have no such address.
func unprobed() (names []string, err error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	for _, link := range links {
		if a := link.Attrs(); a.RawFlags&unix.IFF_UP == 0 || a.RawFlags&unix.IFF_LOOPBACK != 0 {
			continue
		}
		addresses, err := netlink.AddrList(link, netlink.FAMILY_V6)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(addresses, func(a netlink.Addr) bool { return a.IP.IsLinkLocalUnicast() && a.Flags&unix.IFA_F_TENTATIVE == 0 }) {
			names = append(names, link.Attrs().Name)
		}
	}
	return names, nil
}
