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
	var refused []netip.Addr // servers that take their offers back
	for wait := time.Second; ; wait = min(2*wait, c.Patience) {
		tried := Now()
		terms, err := c.once(ctx, wait, &refused)
		if err == nil {
			return terms, nil
		}
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			said = err
		}
		if ctx.Err() != nil {
			return Terms{}, fmt.Errorf("%w: %w", said, context.Cause(ctx))
		}
		pause(ctx, wait-(Now()-tried)) // a server's no, or a link's that is down, comes at once
	}
}

func pause(ctx context.Context, wait time.Duration) {
	ctx, stop := context.WithTimeout(ctx, wait)
	defer stop()
	<-ctx.Done()
}

// once is one discovery and one request.
func (c Client) once(ctx context.Context, wait time.Duration, refused *[]netip.Addr) (Terms, error) {
	discover, err := c.message(dhcpv4.MessageTypeDiscover)
	if err != nil {
		return Terms{}, err
	}
	offer, err := c.offered(ctx, discover, wait, *refused)
	if err != nil {
		return Terms{}, err
	}
	request, err := c.message(dhcpv4.MessageTypeRequest, dhcpv4.WithTransactionID(discover.TransactionID),
		dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(offer.Addr.Addr().AsSlice())), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(offer.Server.AsSlice())))
	if err != nil {
		return Terms{}, err
	}
	terms, err := c.granted(ctx, question{request, packet.Everybody(netip.Addr{}), wait, wait}, offer.Server, false)
	switch {
	case Refused(err):
		*refused = append(*refused, offer.Server)
	case errors.Is(err, errUnusable):
		err = errors.Join(err, c.Release(ctx, offer))
	}
	return terms, err
}

// offered takes the first offer that can be used. One of a server that has refused before what it had offered is taken where nobody else offers anything.
func (c Client) offered(ctx context.Context, discover *dhcpv4.DHCPv4, wait time.Duration, refused []netip.Addr) (offer Terms, err error) {
	var useless error
	err = c.ask(ctx, question{discover, packet.Everybody(netip.Addr{}), wait, wait}, func(m *dhcpv4.DHCPv4, from packet.Way) bool {
		if m.MessageType() != dhcpv4.MessageTypeOffer {
			return false
		}
		terms, unusable := c.Options.read(m, from)
		if unusable != nil {
			useless = unusable
			return false
		}
		offer = terms
		return !slices.Contains(refused, terms.Server)
	})
	switch {
	case offer.Server.IsValid() && ctx.Err() == nil:
		return offer, nil
	case useless != nil:
		return offer, useless
	}
	return offer, err
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
	return c.granted(ctx, question{request, way, Shortest, wait}, terms.Server, everybody)
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

// granted asks for an address. What counts is the answer of the server that is asked. Where everybody is asked, a yes of anybody does; and another's no, which may
// know nothing of the lease, where nobody says yes in that time.
func (c Client) granted(ctx context.Context, request question, server netip.Addr, everybody bool) (terms Terms, err error) {
	began := Now()
	var said error
	err = c.ask(ctx, request, func(m *dhcpv4.DHCPv4, from packet.Way) bool {
		its := identifier(m) == server
		switch kind := m.MessageType(); {
		case !its && !everybody:
			return false
		case kind == dhcpv4.MessageTypeAck:
			terms, said = c.Options.read(m, from)
			return true
		case kind == dhcpv4.MessageTypeNak:
			said = errNAK
			return its
		}
		return false
	})
	if said != nil {
		err = said
	}
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

// question is a message that goes by a way, and again, each time after twice as long, while an answer is waited for.
type question struct {
	*dhcpv4.DHCPv4
	way         packet.Way
	again, wait time.Duration
}

// ask shows each answer, until one is taken.
func (c Client) ask(ctx context.Context, q question, take func(*dhcpv4.DHCPv4, packet.Way) bool) error {
	ctx, stop := context.WithTimeout(ctx, q.wait+rand.N(q.wait/8+1))
	defer stop()
	for ; ; q.again *= 2 {
		if err := c.Socket.Send(q.way, q.ToBytes()); err != nil {
			return err
		}
		err := c.answered(ctx, q, take)
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
}

// answered waits until it is time to ask again.
func (c Client) answered(ctx context.Context, q question, take func(*dhcpv4.DHCPv4, packet.Way) bool) error {
	if q.again < q.wait {
		var stop func()
		ctx, stop = context.WithTimeout(ctx, q.again)
		defer stop()
	}
	for {
		from, body, err := c.Socket.Receive(ctx)
		if err != nil {
			return err
		}
		m, err := dhcpv4.FromBytes(body)
		if err == nil && m.OpCode == dhcpv4.OpcodeBootReply && m.TransactionID == q.TransactionID && slices.Equal(m.ClientHWAddr, q.ClientHWAddr) && take(m, from) {
			return nil
		}
	}
}
