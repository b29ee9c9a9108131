package rtnl

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

var must = nstest.Must

func openConn(t *testing.T) *Conn {
	t.Helper()
	c, err := Open()
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

func linkOf(t *testing.T, name string) *netlink.LinkAttrs {
	t.Helper()
	link, err := netlink.LinkByName(name)
	must(t, err)
	return link.Attrs()
}

// Two requests go in one send. The error is the first one's, and what comes after it was tried all the same.
func TestSendGoesOn(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		c := openConn(t)
		must(t, c.Send(NewBridge("br0", nil, 0, false), SetAlias("br0", "first")))
		err := c.Send(NewBridge("br0", nil, 0, false), SetAlias("br0", "second"), SetUp("nosuch"))
		if !errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENODEV) {
			t.Errorf("error %v, want that of the first request", err)
		}
		if alias := linkOf(t, "br0").Alias; alias != "second" {
			t.Errorf("alias %q: the second request was not tried", alias)
		}
		must(t, c.Send(SetUp("br0"))) // the socket holds nothing of the calls before
		if linkOf(t, "br0").Flags&net.FlagUp == 0 {
			t.Error("br0 is down")
		}
	})
}

func TestKernelsOwnWords(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		c := openConn(t)
		err := c.Send(NewBridge("br0", nil, 70000, false))
		if !errors.Is(err, unix.EINVAL) || !strings.Contains(strings.ToLower(err.Error()), "mtu") {
			t.Errorf("error %v, want what the kernel says of it", err)
		}
	})
}

func TestVeth(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		path := nstest.Namespace(t, "c1")
		ns, err := os.Open(path)
		must(t, err)
		defer ns.Close()
		c := openConn(t)
		mac, peerMAC := net.HardwareAddr{2, 0, 0, 0, 0, 1}, net.HardwareAddr{2, 0, 0, 0, 0, 2}
		must(t, c.Send(NewBridge("br0", mac, 1400, false)))
		v := Veth{Name: "outer", Peer: "eth0", MAC: mac, PeerMAC: peerMAC, MTU: 1300, Master: linkOf(t, "br0").Index, PeerNS: int(ns.Fd())}
		must(t, c.Send(NewVeth(v), SetAlias("outer", strings.Repeat("x", 255))))
		outer := linkOf(t, "outer")
		if outer.HardwareAddr.String() != mac.String() || outer.MTU != 1300 || outer.MasterIndex != v.Master || len(outer.Alias) != 255 {
			t.Errorf("host end: %+v", outer)
		}
		one := func(end *netlink.LinkAttrs) {
			if end.NumTxQueues != 1 || end.NumRxQueues != 1 {
				t.Errorf("%s: %d and %d queues, want one each way", end.Name, end.NumTxQueues, end.NumRxQueues)
			}
		}
		one(outer)
		must(t, nstest.In(path, func() error {
			inner, err := netlink.LinkByName("eth0")
			if err == nil && (inner.Attrs().HardwareAddr.String() != peerMAC.String() || inner.Attrs().MTU != 1300) {
				t.Errorf("container's end: %+v", inner.Attrs())
			}
			if err == nil {
				one(inner.Attrs())
			}
			return err
		}))
		if br := linkOf(t, "br0"); br.HardwareAddr.String() != mac.String() {
			t.Errorf("the bridge's MAC is %s, want the %s that it was made with", br.HardwareAddr, mac)
		}
	})
}

func TestBridgePort(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		c := openConn(t)
		must(t, c.Send(NewBridge("br0", nil, 0, false)))
		must(t, c.Send(NewVeth(Veth{Name: "a", Peer: "b", Master: linkOf(t, "br0").Index, PeerNS: -1})))
		for _, want := range []BridgePort{{}, {Hairpin: true}, {Isolated: true, Hairpin: true}} {
			must(t, c.Send(SetBridgePort(linkOf(t, "a").Index, want.Hairpin, want.Isolated)))
			got, err := c.BridgePort("a")
			must(t, err)
			if diff := cmp.Diff(&want, got); diff != "" {
				t.Errorf("port of a bridge that is down (-want +got):\n%s", diff)
			}
		}
		if port, err := c.BridgePort("b"); port != nil || err != nil {
			t.Errorf("a link that is no port: %v, %v", port, err)
		}
		if _, err := c.BridgePort("nosuch"); !errors.Is(err, unix.ENODEV) {
			t.Errorf("no link: %v", err)
		}
	})
}

func TestAddrs(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		c := openConn(t)
		must(t, c.Send(NewVeth(Veth{Name: "a", Peer: "b", PeerNS: -1})))
		index := linkOf(t, "a").Index
		want := []Addr{
			{Prefix: netip.MustParsePrefix("10.1.2.3/16"), Proto: Proto},
			{Prefix: netip.MustParsePrefix("10.2.0.1/31")},
			{Prefix: netip.MustParsePrefix("fd00::5/64"), Proto: Proto},
		}
		for _, a := range want {
			must(t, c.Send(NewAddr(index, a.Prefix, unix.IFA_F_NODAD, a.Proto)))
		}
		if err := c.Send(NewAddr(index, want[0].Prefix, unix.IFA_F_NODAD, 0)); !errors.Is(err, unix.EEXIST) {
			t.Errorf("the same again: %v", err)
		}
		got, err := c.Addrs(index)
		must(t, err)
		byText := cmpopts.SortSlices(func(a, b Addr) bool { return a.String() < b.String() })
		same := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
		if diff := cmp.Diff(want, got, byText, same, cmpopts.IgnoreFields(Addr{}, "Flags")); diff != "" {
			t.Errorf("addresses (-want +got):\n%s", diff)
		}
		for _, a := range got {
			if a.Addr().Is6() && a.Flags&unix.IFA_F_NODAD == 0 {
				t.Errorf("%s: flags %#x, without IFA_F_NODAD", a.Prefix, a.Flags)
			}
		}
		if others, err := c.Addrs(linkOf(t, "b").Index); len(others) != 0 || err != nil {
			t.Errorf("the other link has %v, %v", others, err)
		}
		groups, err := c.Groups(linkOf(t, "lo").Index)
		if err != nil || !slices.Contains(groups, netip.MustParseAddr("ff02::1")) {
			t.Errorf("groups of lo: %v, %v", groups, err)
		}
		must(t, c.Send(DelAddr(index, want[0].Prefix)))
		if err := c.Send(DelAddr(index, want[0].Prefix)); !errors.Is(err, unix.EADDRNOTAVAIL) {
			t.Errorf("removed twice: %v", err)
		}
	})
}

func TestBroadcast(t *testing.T) {
	for prefix, want := range map[string]string{"10.1.2.3/16": "10.1.255.255", "10.1.2.3/30": "10.1.2.3", "10.1.2.3/0": "255.255.255.255", "10.1.2.8/29": "10.1.2.15"} {
		if got := broadcast(netip.MustParsePrefix(prefix)); got.String() != want {
			t.Errorf("%s: %s, want %s", prefix, got, want)
		}
	}
}

// What happens between the subscription and the look, or after it, wakes Await; nothing else ends it but the context and the look itself.
func TestAwait(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		c := openConn(t)
		must(t, c.Send(NewBridge("br0", nil, 0, false)))
		events, err := Watch(Links)
		must(t, err)
		defer events.Close()
		up := func() (bool, error) {
			link, err := netlink.LinkByName("br0")
			return err == nil && link.Attrs().Flags&net.FlagUp != 0, err
		}
		ctx, cancel := context.WithTimeout(context.Background(), slack.Of(20*time.Second))
		defer cancel()
		waited := make(chan error, 1)
		looked := make(chan bool, 100)
		go func() {
			waited <- events.Await(ctx, func() (bool, error) { looked <- true; return up() })
		}()
		<-looked
		must(t, c.Send(SetUp("br0")))
		must(t, <-waited)
		broken := errors.New("broken")
		if err := events.Await(ctx, func() (bool, error) { return false, broken }); err != broken {
			t.Errorf("a look that fails: %v", err)
		}
		soon, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		if err := events.Await(soon, func() (bool, error) { return false, nil }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nothing happens: %v", err)
		}
	})
}
