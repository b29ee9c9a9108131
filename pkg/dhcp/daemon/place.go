package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/dhcp/lease"
	"github.com/trestle-cni/trestle/pkg/dhcp/packet"
	"github.com/trestle-cni/trestle/pkg/kernel/netns"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Place is an interface in a container, as it was when it was looked at. It keeps nothing open but the packet socket, and that no longer than
// an exchange takes: whoever keeps anything of a namespace open keeps it from ending.
type Place struct {
	Inode  uint64
	Link   int
	MAC    net.HardwareAddr
	Addrs  []rtnl.Addr
	Socket *packet.Socket
}

// Enter opens a packet socket on the interface in the namespace. opened is the namespace's descriptor, where there is one.
func Enter(netns string, opened int, ifName string) (p Place, err error) {
	return p, inside(netns, opened, func(s *site.Site) (err error) {
		if p, err = look(s, ifName); err == nil {
			err = p.open(s)
		}
		return err
	})
}

// Arrive is Enter for who gets a lease, and brings the interface up. Where the plugin has said which namespace it was given, the path must not lead to another by now.
func Arrive(netns, ifName string, inode uint64) (p Place, err error) {
	return p, inside(netns, 0, func(s *site.Site) (err error) {
		if p, err = look(s, ifName); err == nil && inode != 0 && p.Inode != inode {
			err = fmt.Errorf("%s: another network namespace than the plugin was given", netns)
		}
		if err == nil {
			err = s.Container.Conn.Send(rtnl.SetUp(ifName))
		}
		if err == nil {
			err = p.open(s)
		}
		return err
	})
}

// look says what the interface is now.
func look(s *site.Site, ifName string) (p Place, err error) {
	link, err := s.Container.LinkByName(ifName)
	if err != nil {
		return p, fmt.Errorf("link %s: %w", ifName, err)
	}
	p.Link, p.MAC = link.Attrs().Index, link.Attrs().HardwareAddr
	if p.Inode, err = netns.NumberOf(s.Container.NS); err != nil {
		return p, err
	}
	if p.Addrs, err = s.Container.Conn.Addrs(p.Link); err != nil {
		err = fmt.Errorf("addresses of %s: %w", ifName, err)
	}
	return p, err
}

func (p *Place) open(s *site.Site) error {
	return s.Container.Do(func() (err error) {
		p.Socket, err = packet.Open(p.Link)
		return err
	})
}

// Leave closes what Enter opened. A packet socket takes a while: no processor may be reading from it any more.
func (p Place) Leave() {
	_ = packet.ByHand(func() error { p.Socket.Close(); return nil })
}

func inside(netns string, opened int, f func(*site.Site) error) error {
	if netns == "" {
		return errors.New("no namespace")
	}
	return packet.ByHand(func() error {
		s, err := site.Open(site.Options{Netns: netns, Opened: opened})
		if err != nil {
			return err
		}
		defer s.Close()
		return f(s)
	})
}

// is says whether the lease is of this interface, and not of one that has its numbers by now, which the kernel gives again: that one has neither the
// Ethernet address, which others may have changed since (plugin tuning), nor the address.
func (p Place) is(r lease.Record) bool {
	has := func(a rtnl.Addr) bool { return a.Addr() == r.Addr.Addr() }
	return p.Inode == r.Inode && p.Link == r.Link && (p.MAC.String() == r.MAC.String() || slices.ContainsFunc(p.Addrs, has))
}

// lives says whether the namespace of a lease is there, without going in.
func (d *Daemon) lives(r lease.Record) bool {
	var stat unix.Stat_t
	err := unix.Stat(d.path(r.Netns), &stat)
	return err == nil && stat.Ino == r.Inode || err != nil && !gone(err)
}

// client asks as whom the server knows: by the Ethernet address of the beginning.
func (p Place) client(r lease.Record, o Options) lease.Client {
	return lease.Client{Socket: p.Socket, MAC: r.MAC, ID: r.ID, Options: r.Options, Broadcast: o.Broadcast, Patience: o.Patience}
}

// Release gives the lease of a record back by the interface that has it. Where that has gone there is no way to say so, and no need to.
func Release(ctx context.Context, r lease.Record, netns string, opened int) error {
	if r.Over != "" {
		return nil
	}
	p, err := Enter(netns, opened, r.IfName)
	if err != nil {
		return err
	}
	defer p.Leave()
	if !p.is(r) {
		return another(r)
	}
	return p.client(r, Options{}).Release(ctx, r.Terms)
}

// change sends a request about the interface that has the lease. Path and name may be another's by now, who has nothing to do with it.
func (d *Daemon) change(r lease.Record, request *nl.NetlinkRequest) error {
	return inside(d.path(r.Netns), 0, func(s *site.Site) error {
		p, err := look(s, r.IfName)
		if err == nil && !p.is(r) {
			err = another(r)
		}
		if err != nil {
			return err
		}
		return s.Container.Conn.Send(request)
	})
}

func another(r lease.Record) error {
	return fmt.Errorf("link %s: not the one that has the lease", r.IfName)
}
