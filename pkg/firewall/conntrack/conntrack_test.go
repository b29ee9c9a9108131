package conntrack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/test/nstest"
)

var must = nstest.Must

func open(t testing.TB) *Table {
	t.Helper()
	table, err := Open()
	must(t, err)
	t.Cleanup(func() { table.Close() })
	return table
}

// entry is a flow from a client to a destination that is answered by a server; the client is the same both ways.
type entry struct {
	protocol            uint8
	client, to, replies string
}

func (e entry) String() string {
	return fmt.Sprintf("%d %s > %s < %s", e.protocol, e.client, e.to, e.replies)
}

// add makes the flow in the kernel.
func (e entry) add(table *Table) error {
	client, to, replies := netip.MustParseAddrPort(e.client), netip.MustParseAddrPort(e.to), netip.MustParseAddrPort(e.replies)
	family, source, destination := uint8(unix.AF_INET), uint16(1), uint16(2)
	if to.Addr().Is6() {
		family, source, destination = unix.AF_INET6, 3, 4
	}
	direction := func(from, to netip.AddrPort) func(*netlink.AttributeEncoder) error {
		return func(a *netlink.AttributeEncoder) error {
			a.ByteOrder = binary.BigEndian
			a.Nested(ctaTupleIP, func(a *netlink.AttributeEncoder) error {
				a.Bytes(source, from.Addr().AsSlice())
				a.Bytes(destination, to.Addr().AsSlice())
				return nil
			})
			a.Nested(ctaTupleProto, func(a *netlink.AttributeEncoder) error {
				a.Uint8(ctaProtoNum, e.protocol)
				a.Uint16(ctaProtoSrc, from.Port())
				a.Uint16(ctaProtoDst, to.Port())
				return nil
			})
			return nil
		}
	}
	a := netlink.NewAttributeEncoder()
	a.Nested(ctaTupleOrig, direction(client, to))
	a.Nested(ctaTupleReply, direction(replies, client))
	const ctaTimeout, msgNew = 7, unix.NFNL_SUBSYS_CTNETLINK << 8
	a.Bytes(ctaTimeout, binary.BigEndian.AppendUint32(nil, 600))
	_, err := table.execute(family, msgNew, netlink.Request|netlink.Create|netlink.Excl|netlink.Acknowledge, a)
	return err
}

// all lists the flows that are there.
func all(t testing.TB, table *Table) (list []string) {
	t.Helper()
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		answers, err := table.execute(family, msgGet, netlink.Request|netlink.Dump, netlink.NewAttributeEncoder())
		must(t, err)
		for _, m := range answers {
			f, err := parse(m.Data)
			must(t, err)
			list = append(list, fmt.Sprintf("%d %s > %s < %s", f.protocol, f.original.source, f.original.destination, f.reply.source))
		}
	}
	slices.Sort(list)
	return list
}

func port(protocol uint8, hostIP string, number uint16, target string) firewall.Port {
	p := firewall.Port{Protocol: protocol, HostPort: number, Target: netip.MustParseAddrPort(target)}
	if hostIP != "" {
		p.HostIP = netip.MustParseAddr(hostIP)
	}
	return p
}

// host knows the addresses of the host that the tests speak of.
func host(addr netip.Addr) bool {
	return addr.IsLoopback() || slices.Contains([]string{"192.0.2.1", "2001:db8::1"}, addr.String())
}

const (
	tcp  = unix.IPPROTO_TCP
	udp  = unix.IPPROTO_UDP
	sctp = unix.IPPROTO_SCTP
)

// flows are of all kinds; which of them a removal hits is for the tests to say.
func flows() map[string]entry {
	return map[string]entry{
		"old target":            {udp, "192.0.2.9:1000", "192.0.2.1:53", "10.1.0.9:53"},
		"the host itself":       {udp, "192.0.2.9:1001", "192.0.2.1:53", "192.0.2.1:53"},
		"new target":            {udp, "192.0.2.9:1002", "192.0.2.1:53", "10.1.0.2:53"},
		"by loopback":           {udp, "127.0.0.1:1003", "127.0.0.1:53", "10.1.0.9:53"},
		"to a foreign resolver": {udp, "10.1.0.7:1004", "198.51.100.1:53", "198.51.100.1:53"},
		"another port":          {udp, "192.0.2.9:1005", "192.0.2.1:54", "10.1.0.9:53"},
		"tcp":                   {tcp, "192.0.2.9:1006", "192.0.2.1:53", "10.1.0.9:53"},
		"sctp":                  {sctp, "192.0.2.9:1007", "192.0.2.1:53", "10.1.0.9:53"},
		"v6 old target":         {udp, "[2001:db8::9]:1008", "[2001:db8::1]:53", "[fd00::9]:53"},
		"v6 new target":         {udp, "[2001:db8::9]:1009", "[2001:db8::1]:53", "[fd00::2]:53"},
		"target's other port":   {udp, "192.0.2.9:1010", "192.0.2.1:53", "10.1.0.2:99"},
	}
}

// removes runs do against all kinds of flows, and fails the test unless exactly the named ones are gone.
func removes(t *testing.T, do func(*Table) (int, error), names ...string) {
	t.Helper()
	nstest.Run(t, func(t *testing.T) {
		table := open(t)
		var want []string
		for name, e := range flows() {
			must(t, e.add(table))
			if !slices.Contains(names, name) {
				want = append(want, e.String())
			}
		}
		slices.Sort(want)
		n, err := do(table)
		must(t, err)
		if n != len(names) {
			t.Errorf("%d removed, want %d", n, len(names))
		}
		if diff := cmp.Diff(want, all(t, table)); diff != "" {
			t.Errorf("flows left (-want +got):\n%s", diff)
		}
	})
}

func TestDivert(t *testing.T) {
	removes(t, func(table *Table) (int, error) {
		return table.Divert([]firewall.Port{port(udp, "", 53, "10.1.0.2:53")}, host)
	}, "old target", "the host itself", "by loopback", "target's other port")
}

func TestDivertAddress(t *testing.T) {
	removes(t, func(table *Table) (int, error) {
		return table.Divert([]firewall.Port{port(udp, "127.0.0.1", 53, "10.1.0.2:53")}, host)
	}, "by loopback")
}

func TestDivertSeveral(t *testing.T) {
	removes(t, func(table *Table) (int, error) {
		return table.Divert([]firewall.Port{port(udp, "", 54, "10.1.0.2:54"), port(udp, "", 53, "10.1.0.9:53"), port(udp, "", 53, "[fd00::2]:53"),
			port(tcp, "", 53, "10.1.0.2:53"), port(sctp, "", 53, "10.1.0.2:53")}, host)
	}, "another port", "the host itself", "new target", "target's other port", "v6 old target", "sctp")
}

func TestCut(t *testing.T) {
	removes(t, func(table *Table) (int, error) {
		return table.Cut([]firewall.Port{port(udp, "", 53, "10.1.0.9:53"), port(tcp, "", 53, "10.1.0.9:53"), port(udp, "", 53, "[fd00::9]:53")})
	}, "old target", "by loopback", "v6 old target")
}

// TestForeign counts what is left of a thousand flows on one port that are no business of the host's.
func TestForeign(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		table := open(t)
		const many = 1000
		for i := range many {
			client := fmt.Sprintf("10.1.%d.%d:5353", i/250, i%250+1)
			must(t, entry{udp, client, "198.51.100.1:53", "198.51.100.1:53"}.add(table))
		}
		must(t, entry{udp, "192.0.2.9:1000", "192.0.2.1:53", "10.1.0.9:53"}.add(table))
		n, err := table.Divert([]firewall.Port{port(udp, "", 53, "10.1.0.2:53")}, host)
		if err != nil || n != 1 || len(all(t, table)) != many {
			t.Errorf("%d removed, %d left, error %v, want 1 and %d", n, len(all(t, table)), err, many)
		}
	})
}

// TestFilter asks the kernel for one port, and holds that it sent no other, and for two one protocol: that is what makes a large table cheap.
func TestFilter(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		table := open(t)
		for _, e := range flows() {
			must(t, e.add(table))
		}
		for want, ports := range map[int]map[uint16][]firewall.Port{1: {54: nil}, 7: {53: nil, 54: nil}} {
			got, err := table.ask(group{unix.AF_INET, udp}, ports)
			must(t, err)
			if len(got) != want {
				t.Errorf("asked for %d ports the kernel sent %d flows, want %d", len(ports), len(got), want)
			}
		}
	})
}

// TestNothing asks of an empty table, and of ports that need no help.
func TestNothing(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		table := open(t)
		for _, ports := range [][]firewall.Port{nil, {port(tcp, "", 53, "10.1.0.2:53")}, {port(udp, "", 53, "10.1.0.2:53")}} {
			if n, err := table.Cut(ports); n != 0 || err != nil {
				t.Errorf("%v: %d removed, error %v", ports, n, err)
			}
		}
		if _, err := parse([]byte{1, 2}); err == nil {
			t.Error("a message of two bytes: no error")
		}
	})
}

// TestEntries counts the flows of the namespace: where there are none, none are looked for.
func TestEntries(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		table := open(t)
		for want, e := range []entry{{udp, "192.0.2.2:1", "192.0.2.1:53", "10.1.0.2:53"}, {udp, "[2001:db8::2]:1", "[2001:db8::1]:53", "[fd00:1::2]:53"}, {}} {
			if n, err := table.entries(); n != uint32(want) || err != nil {
				t.Errorf("%d entries, error %v, not %d", n, err, want)
			}
			if e.protocol != 0 {
				must(t, e.add(table))
			}
		}
	})
}

// TestReady tells a process without rights, to which the kernel does not answer, from one with them.
func TestReady(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		must(t, open(t).Ready())
		errs := make(chan error)
		go func() {
			runtime.LockOSThread() // never unlocked: the thread without rights ends with the goroutine
			header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var none [2]unix.CapUserData
			table, err := Open()
			if err := errors.Join(err, unix.Capset(&header, &none[0])); err != nil {
				errs <- err
				return
			}
			errs <- table.Ready()
		}()
		if err := <-errs; fault.Code(err) != fault.NoService || fault.Hint(err) == "" {
			t.Errorf("without rights: %v, want a fault that says so", err)
		}
	})
}
