package lease

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/trestle-cni/trestle/pkg/dhcp/packet"
)

// Client asks servers by one interface.
type Client struct {
	Socket    *packet.Socket
	MAC       net.HardwareAddr
	ID        []byte
	Options   Options
	Broadcast bool          // answers are to come to everybody
	Patience  time.Duration // the longest wait for one answer
}

// errNAK is a server's no.
var errNAK = errors.New("the server says that the address is not to be had (NAK)")

// Refused says whether the error is a server's no.
func Refused(err error) bool { return errors.Is(err, errNAK) }

// Acquire asks until there is a lease, ever more patiently, or ctx ends.
func (c Client) Acquire(ctx context.Context) (Terms, error) {
	said := errors.New("no server answers")
	for wait := time.Second; ; wait = min(2*wait, c.Patience) {
		terms, err := c.once(ctx, wait)
		if err == nil {
			return terms, nil
		}
		waited := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
		if !waited {
			said = err
		}
		if ctx.Err() != nil {
			return Terms{}, fmt.Errorf("%w: %w", said, ctx.Err())
		}
		if !waited { // a server's no, or a link's that is down, comes at once
			pause(ctx, wait)
		}
	}
}

func pause(ctx context.Context, wait time.Duration) {
	ctx, stop := context.WithTimeout(ctx, wait)
	defer stop()
	<-ctx.Done()
}

// once is one discovery and one request.
func (c Client) once(ctx context.Context, wait time.Duration) (Terms, error) {
	discover, err := c.message(dhcpv4.MessageTypeDiscover)
	if err != nil {
		return Terms{}, err
	}
	offer, _, err := c.ask(ctx, discover, packet.Everybody(netip.Addr{}), wait, dhcpv4.MessageTypeOffer)
	if err != nil {
		return Terms{}, err
	}
	request, err := c.message(dhcpv4.MessageTypeRequest, dhcpv4.WithTransactionID(discover.TransactionID),
		dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(offer.YourIPAddr)), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(offer.ServerIdentifier())))
	if err != nil {
		return Terms{}, err
	}
	return c.granted(ctx, request, packet.Everybody(netip.Addr{}), wait)
}

// Renew asks for more time: the server that gave it, or everybody.
func (c Client) Renew(ctx context.Context, terms Terms, everybody bool, wait time.Duration) (Terms, error) {
	request, err := c.message(dhcpv4.MessageTypeRequest, dhcpv4.WithClientIP(terms.Addr.Addr().AsSlice()))
	if err != nil {
		return Terms{}, err
	}
	request.SetUnicast()
	way := packet.Everybody(terms.Addr.Addr())
	if !everybody {
		way = c.wayTo(ctx, terms)
	}
	return c.granted(ctx, request, way, wait)
}

// wayTo is the way to the server, or to the router before it, as it is now: the Ethernet address that was there when the lease was given may be another's by
// now, or nobody's. A bridge's changes with each container, a server moves, a router has a deputy. Where nobody answers, it may still be there.
func (c Client) wayTo(ctx context.Context, terms Terms) packet.Way {
	next := terms.Server
	if !terms.Addr.Contains(next) && terms.Router.IsValid() {
		next = terms.Router
	}
	way := packet.Way{MAC: terms.ServerMAC, From: terms.Addr.Addr(), To: terms.Server}
	if mac := c.Socket.Seek(ctx, way.From, next); mac != nil {
		way.MAC = mac
	}
	return way
}

func (c Client) granted(ctx context.Context, request *dhcpv4.DHCPv4, way packet.Way, wait time.Duration) (Terms, error) {
	began := Now()
	ack, from, err := c.ask(ctx, request, way, wait, dhcpv4.MessageTypeAck)
	if err != nil {
		return Terms{}, err
	}
	terms, err := c.Options.read(ack, from)
	terms.Began = began
	return terms, err
}

// Release gives the lease back. Nobody answers that.
func (c Client) Release(ctx context.Context, terms Terms) error {
	m, err := c.message(dhcpv4.MessageTypeRelease, dhcpv4.WithClientIP(terms.Addr.Addr().AsSlice()), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(terms.Server.AsSlice())))
	if err != nil {
		return err
	}
	m.Options.Del(dhcpv4.OptionParameterRequestList)
	m.SetUnicast()
	return c.Socket.Send(c.wayTo(ctx, terms), m.ToBytes())
}

// message is one of the client's, with all that it says of itself.
func (c Client) message(kind dhcpv4.MessageType, more ...dhcpv4.Modifier) (*dhcpv4.DHCPv4, error) {
	m, err := dhcpv4.New(dhcpv4.WithHwAddr(c.MAC), dhcpv4.WithBroadcast(c.Broadcast), dhcpv4.WithMessageType(kind))
	if err != nil {
		return nil, err
	}
	var asked []dhcpv4.OptionCode
	for _, code := range c.Options.Request {
		asked = append(asked, dhcpv4.GenericOptionCode(code))
	}
	if len(asked) > 0 {
		m.UpdateOption(dhcpv4.OptParameterRequestList(asked...))
	}
	for _, given := range c.Options.Provide {
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(given.Code), []byte(given.Value)))
	}
	m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionClientIdentifier, c.ID))
	for _, change := range more {
		change(m)
	}
	return m, nil
}

// ask sends a message and waits for an answer to it of the kind.
func (c Client) ask(ctx context.Context, m *dhcpv4.DHCPv4, way packet.Way, wait time.Duration, kind dhcpv4.MessageType) (*dhcpv4.DHCPv4, packet.Way, error) {
	if err := c.Socket.Send(way, m.ToBytes()); err != nil {
		return nil, packet.Way{}, err
	}
	ctx, stop := context.WithTimeout(ctx, wait+rand.N(wait/8+1))
	defer stop()
	for {
		from, body, err := c.Socket.Receive(ctx)
		if err != nil {
			return nil, from, err
		}
		answer, err := dhcpv4.FromBytes(body)
		if err != nil || answer.OpCode != dhcpv4.OpcodeBootReply || answer.TransactionID != m.TransactionID || !slices.Equal(answer.ClientHWAddr, m.ClientHWAddr) {
			continue
		}
		switch answer.MessageType() {
		case kind:
			return answer, from, nil
		case dhcpv4.MessageTypeNak:
			if kind == dhcpv4.MessageTypeAck {
				return nil, from, errNAK
			}
		}
	}
}
