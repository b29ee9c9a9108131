package rtnl

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
)

// TestRemovals removes sixteen pairs, ports of a bridge, in three ways, and logs what each takes: it is why every DEL removes its own link
// (docs/measurements.md, "DEL in company"). Seen with -v.
func TestRemovals(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		must(t, openConn(t).Send(NewBridge("br0", nil, 0, false), SetUp("br0")))
		c := newCrowd(t, 16)
		t.Logf("one after the other:         %v", c.remove(func() error {
			for i, conn := range c.conns {
				if err := conn.Send(byName(unix.RTM_DELLINK, host(i))); err != nil {
					return err
				}
			}
			return nil
		}))
		t.Logf("at the same time:            %v", c.remove(func() error {
			errs := make(chan error)
			for i, conn := range c.conns {
				go func() { errs <- conn.Send(byName(unix.RTM_DELLINK, host(i))) }()
			}
			var all []error
			for range c.conns {
				all = append(all, <-errs)
			}
			return errors.Join(all...)
		}))
		t.Logf("marked, then in one request: %v", c.remove(func() error {
			for i, conn := range c.conns {
				if err := conn.Send(withGroup(byName(unix.RTM_SETLINK, host(i)))); err != nil {
					return err
				}
			}
			r := Request(unix.RTM_DELLINK, 0)
			r.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
			return c.conns[0].Send(withGroup(r))
		}))
	})
}

func withGroup(r *nl.NetlinkRequest) *nl.NetlinkRequest {
	r.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(7)))
	return r
}

// crowd is a number of containers and as many programs that remove their links.
type crowd struct {
	*testing.T
	bridge int
	conns  []*Conn
	sides  []*Conn // in the containers
	spaces []int
}

func host(i int) string { return fmt.Sprintf("host%d", i) }

func newCrowd(t *testing.T, size int) *crowd {
	t.Helper()
	c := &crowd{T: t, bridge: linkOf(t, "br0").Index}
	for i := range size {
		path := nstest.Namespace(t, fmt.Sprintf("c%d", i))
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		must(t, err)
		t.Cleanup(func() { unix.Close(fd) })
		c.spaces, c.conns = append(c.spaces, fd), append(c.conns, openConn(t))
		must(t, nstest.In(path, func() error { c.sides = append(c.sides, openConn(t)); return nil }))
	}
	return c
}

// remove makes a pair for each container, removes them in the way given, and returns what that took.
func (c *crowd) remove(way func() error) time.Duration {
	c.Helper()
	for i, conn := range c.conns {
		must(c.T, conn.Send(NewVeth(Veth{Name: host(i), Peer: "eth0", Master: c.bridge, PeerNS: c.spaces[i]})))
		must(c.T, c.sides[i].Send(SetUp("eth0")))
		must(c.T, conn.Send(SetUp(host(i))))
	}
	begin := time.Now()
	err := way()
	took := time.Since(begin)
	must(c.T, err)
	for i := range c.conns {
		if _, err := netlink.LinkByName(host(i)); !errors.As(err, new(netlink.LinkNotFoundError)) {
			c.Errorf("%s: %v, after it was removed", host(i), err)
		}
	}
	return took
}
