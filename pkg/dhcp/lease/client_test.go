package lease

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/dhcp/packet"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// network is a client on one end of a wire, and on the other whoever answers it.
type network struct {
	*testing.T
	client Client
	server *net.UDPConn
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	for _, words := range []string{"link add near type veth peer name far", "link set near up", "link set far up", "address add 10.9.0.1/24 dev far", "address add 10.9.0.2/24 dev far"} {
		nstest.Program(t, "", "ip", strings.Fields(words)...)
	}
	link, err := net.InterfaceByName("near")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := packet.Open(link.Index)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(socket.Close)
	bound := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		return errors.Join(raw.Control(func(fd uintptr) {
			err = errors.Join(unix.SetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_BINDTODEVICE, "far"), unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1))
		}), err)
	}}
	server, err := bound.ListenPacket(t.Context(), "udp4", ":67")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return &network{t, Client{Socket: socket, MAC: link.HardwareAddr, ID: []byte("c"), Patience: slack.Of(time.Second)}, server.(*net.UDPConn)}
}

// served answers each message of the client's with what the answers make of it, in their order.
func (n *network) served(answers map[dhcpv4.MessageType][]reply) {
	go func() {
		buffer := make([]byte, 9000)
		for {
			size, err := n.server.Read(buffer)
			if err != nil {
				return
			}
			m, err := dhcpv4.FromBytes(buffer[:size])
			if err != nil {
				n.Errorf("the client's message: %v", err)
				return
			}
			for _, r := range answers[m.MessageType()] {
				if _, err := n.server.WriteToUDP(r(n.T, m), &net.UDPAddr{IP: net.IPv4bcast, Port: 68}); err != nil && !errors.Is(err, net.ErrClosed) {
					n.Error(err)
				}
			}
		}
	}()
}

// reply makes an answer of a message.
type reply func(*testing.T, *dhcpv4.DHCPv4) []byte

// of is an answer of the server with that last number, which gives an address of ten times that.
func of(server byte, kind dhcpv4.MessageType, more ...dhcpv4.Modifier) reply {
	return func(t *testing.T, m *dhcpv4.DHCPv4) []byte {
		all := append([]dhcpv4.Modifier{dhcpv4.WithMessageType(kind), dhcpv4.WithServerIP(net.IPv4(10, 9, 0, server)), dhcpv4.WithYourIP(net.IPv4(10, 9, 0, 10*server)),
			dhcpv4.WithNetmask(net.CIDRMask(24, 32)), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 9, 0, server)))}, more...)
		answer, err := dhcpv4.NewReplyFromRequest(m, all...)
		if err != nil {
			t.Error(err)
		}
		return answer.ToBytes()
	}
}

// asked is the answer where that server is asked, else nothing of use.
func asked(server byte, r reply) reply {
	return func(t *testing.T, m *dhcpv4.DHCPv4) []byte {
		if m.ServerIdentifier().Equal(net.IPv4(10, 9, 0, server)) {
			return r(t, m)
		}
		return []byte("of no use")
	}
}

func cut(r reply, size int) reply {
	return func(t *testing.T, m *dhcpv4.DHCPv4) []byte { return r(t, m)[:size] }
}

const (
	offer = dhcpv4.MessageTypeOffer
	ack   = dhcpv4.MessageTypeAck
	nak   = dhcpv4.MessageTypeNak
)

var (
	anotherID  = dhcpv4.WithTransactionID(dhcpv4.TransactionID{1, 2, 3, 4})
	anotherMAC = dhcpv4.WithHwAddr(net.HardwareAddr{2, 0, 0, 0, 0, 9})
)

// TestAcquire: a lease is had of any server that gives one, whatever others say, and whatever comes before.
func TestAcquire(t *testing.T) {
	for name, c := range map[string]struct {
		discover, request []reply
		want              string
	}{
		"one server":                            {[]reply{of(1, offer)}, []reply{of(1, ack)}, "10.9.0.10/24"},
		"two, of which one refuses the other's": {[]reply{of(1, offer), of(2, offer)}, []reply{of(2, nak), of(1, ack)}, "10.9.0.10/24"},
		"two, of which one grants the other's":  {[]reply{of(1, offer), of(2, offer)}, []reply{of(2, ack), of(1, ack)}, "10.9.0.10/24"},
		"one that takes its offer back":         {[]reply{of(1, offer), of(2, offer)}, []reply{asked(1, of(1, nak)), asked(2, of(2, ack))}, "10.9.0.20/24"},
		"an offer of no use":                    {[]reply{of(1, offer, dhcpv4.WithNetmask(net.CIDRMask(0, 32))), of(2, offer)}, []reply{asked(2, of(2, ack))}, "10.9.0.20/24"},
		"what is another's": {[]reply{of(1, offer, anotherID), of(1, offer, anotherMAC), of(1, ack), of(1, nak), of(2, offer)},
			[]reply{of(1, ack, anotherID), of(2, nak, anotherMAC), of(2, offer), of(2, ack)}, "10.9.0.20/24"},
		"what is cut off": {[]reply{cut(of(1, offer), 0), cut(of(1, offer), 100), cut(of(1, offer), 239), cut(of(1, offer), 250), of(2, offer)}, []reply{cut(of(2, ack), 245), of(2, ack)}, "10.9.0.20/24"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				n := newNetwork(t)
				n.served(map[dhcpv4.MessageType][]reply{dhcpv4.MessageTypeDiscover: c.discover, dhcpv4.MessageTypeRequest: c.request})
				ctx, stop := context.WithTimeout(t.Context(), slack.Of(10*time.Second))
				defer stop()
				if got, err := n.client.Acquire(ctx); err != nil || got.Addr.String() != c.want {
					t.Errorf("%v %v, want %s", got.Addr, err, c.want)
				}
			})
		})
	}
}

// TestNothingOfUse: who gets no lease is told what was wrong with what there was.
func TestNothingOfUse(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		n := newNetwork(t)
		n.served(map[dhcpv4.MessageType][]reply{dhcpv4.MessageTypeDiscover: {of(1, offer, dhcpv4.WithOption(dhcpv4.OptIPAddressLeaseTime(0)))}})
		ctx, stop := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer stop()
		if _, err := n.client.Acquire(ctx); err == nil || !strings.Contains(err.Error(), "over as it begins") {
			t.Error(err)
		}
	})
}

// TestRenew: whose word counts at a renewal. A server that knows nothing of a lease may say no, and is believed where nobody says yes.
func TestRenew(t *testing.T) {
	for name, c := range map[string]struct {
		answers   []reply
		everybody bool
		want      string
	}{
		"its server's yes":               {[]reply{of(1, ack)}, false, ""},
		"its server's no":                {[]reply{of(1, nak)}, false, "NAK"},
		"another's no":                   {[]reply{of(2, nak)}, false, "deadline"},
		"another's no, and its yes":      {[]reply{of(2, nak), of(1, ack)}, false, ""},
		"of all, another's yes":          {[]reply{of(2, ack)}, true, ""},
		"of all, another's no":           {[]reply{of(2, nak)}, true, "NAK"},
		"of all, a no and a yes":         {[]reply{of(2, nak), of(1, ack)}, true, ""},
		"of all, its no":                 {[]reply{of(1, nak), of(2, ack)}, true, "NAK"},
		"a no that does not say of whom": {[]reply{of(1, nak, func(m *dhcpv4.DHCPv4) { m.Options.Del(dhcpv4.OptionServerIdentifier) })}, false, "deadline"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				n := newNetwork(t)
				n.served(map[dhcpv4.MessageType][]reply{dhcpv4.MessageTypeRequest: c.answers})
				terms := Terms{Addr: netip.MustParsePrefix("10.9.0.10/24"), Server: netip.MustParseAddr("10.9.0.1")}
				wait := slack.Of(time.Second)
				if c.want == "deadline" {
					wait = time.Second
				}
				_, err := n.client.Renew(t.Context(), terms, c.everybody, wait)
				if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) || Refused(err) != (c.want == "NAK") {
					t.Errorf("%v, want %q", err, c.want)
				}
			})
		})
	}
}
