package e2e

import (
	"errors"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// oddServers are what a server may say, whoever set it up: of each a container is made with which CHECK is content, or what is wrong is said and the lease given back.
var oddServers = map[string]struct {
	options []string
	keys    string // of ipam
	has     string // in the result
	refused string
}{
	"the client's own address as its router": {[]string{"--dhcp-option=3,10.9.0.10"}, "", `"10.9.0.10/24"`, ""}, // to the kernel that is the link
	"a router elsewhere":                     {[]string{"--dhcp-option=3,192.0.2.1"}, "", "", "route"},
	"a router elsewhere, and no way to it":   {[]string{"--dhcp-option=121,0.0.0.0/0,192.0.2.1"}, "", "", "route"},
	"a router elsewhere, the way to it last": {[]string{"--dhcp-option=121,0.0.0.0/0,192.0.2.1,192.0.2.1/32,0.0.0.0"}, "", `"192.0.2.1/32"`, ""},
	"the way to its own subnet":              {[]string{"--dhcp-option=121,10.9.0.0/24,10.9.0.1,0.0.0.0/0,10.9.0.1"}, "", `"0.0.0.0/0"`, ""},
	"a way to the client itself":             {[]string{"--dhcp-option=121,10.9.0.10/32,10.9.0.1"}, "", "", ""},
	"both halves of the world":               {[]string{"--dhcp-option=121,0.0.0.0/1,10.9.0.1,128.0.0.0/1,10.9.0.1"}, "", `"128.0.0.0/1"`, ""},
	"a subnet of one":                        {[]string{"--dhcp-option-force=1,255.255.255.255", "--dhcp-option=121,10.9.0.1/32,0.0.0.0,0.0.0.0/0,10.9.0.1"}, "", `"10.9.0.10/32"`, ""},
	"a subnet of two":                        {[]string{"--dhcp-option-force=1,255.255.255.254", "--dhcp-option=3"}, "", `"10.9.0.10/31"`, ""},
	"a lease for ever":                       {nil, "", `"10.9.0.10/24"`, ""},
	"an MTU below IPv6's":                    {[]string{"--dhcp-option-force=26,576"}, `, "mtu": true`, `"10.9.0.10/24"`, ""},
	"an MTU above the link's":                {[]string{"--dhcp-option-force=26,65535"}, `, "mtu": true`, `"10.9.0.10/24"`, ""},
	"neither router nor server of names":     {[]string{"--dhcp-option=3", "--dhcp-option=6"}, "", `"10.9.0.10/24"`, ""},
}

// TestOddServers has each of them give a container its address.
func TestOddServers(t *testing.T) {
	for name, c := range oddServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				pool := "--dhcp-range=10.9.0.10,10.9.0.10,255.255.255.0,2m"
				if strings.Contains(name, "for ever") {
					pool = strings.Replace(pool, "2m", "infinite", 1)
				}
				s := newServed(t, append(c.options, pool)...)
				s.start()
				nstest.Namespace(t, "c1")
				config := dhcpConfig(c.keys)
				got, err := invoke("ADD", "bridge", "c1", config)
				must(t, err)
				switch {
				case c.refused != "":
					if got.Status == 0 || got.Code == 0 || !strings.Contains(got.Msg, c.refused) {
						t.Errorf("%d %s%s, want refused: %s", got.Code, got.Msg, got.Out, c.refused)
					}
				case got.Status != 0 || !strings.Contains(string(got.Out), c.has):
					t.Errorf("%d %s%s, want %s", got.Code, got.Msg, got.Out, c.has)
				default:
					succeed(t, "CHECK", "bridge", "c1", previous(config, got.Out))
					succeed(t, "DEL", "bridge", "c1", config)
				}
				s.server.await("DHCPRELEASE(lan0) 10.9.0.10")
				s.nothing("the end")
			})
		})
	}
}

// renewals are what a server may say when it is asked for more time, and what CHECK says then; empty: nothing.
var renewals = map[string]struct {
	kind   dhcpv4.MessageType
	answer []dhcpv4.Modifier
	drift  string
	end    time.Duration // of the lease, from then on
}{
	"the same":            {dhcpv4.MessageTypeAck, nil, "", time.Hour},
	"another address":     {dhcpv4.MessageTypeAck, []dhcpv4.Modifier{dhcpv4.WithYourIP(net.IPv4(10, 9, 0, 77))}, "address was 10.9.0.10/24, is 10.9.0.77/24", time.Hour},
	"another mask":        {dhcpv4.MessageTypeAck, []dhcpv4.Modifier{dhcpv4.WithNetmask(net.CIDRMask(16, 32))}, "address was 10.9.0.10/24, is 10.9.0.10/16", time.Hour},
	"another router":      {dhcpv4.MessageTypeAck, []dhcpv4.Modifier{dhcpv4.WithRouter(net.IPv4(10, 9, 0, 9))}, "router was 10.9.0.1, is 10.9.0.9", time.Hour},
	"for ever":            {dhcpv4.MessageTypeAck, []dhcpv4.Modifier{dhcpv4.WithLeaseTime(1<<32 - 1)}, "", 0},
	"the longest":         {dhcpv4.MessageTypeAck, []dhcpv4.Modifier{dhcpv4.WithLeaseTime(1<<32 - 2)}, "", (1<<32 - 2) * time.Second},
	"for no time":         {dhcpv4.MessageTypeAck, []dhcpv4.Modifier{dhcpv4.WithLeaseTime(0)}, "", 2 * time.Minute},
	"of no address":       {dhcpv4.MessageTypeAck, []dhcpv4.Modifier{dhcpv4.WithYourIP(net.IPv4zero)}, "", 2 * time.Minute},
	"by a group":          {dhcpv4.MessageTypeAck, []dhcpv4.Modifier{dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(224, 0, 0, 1)))}, "", 2 * time.Minute},
	"an offer":            {dhcpv4.MessageTypeOffer, nil, "", 2 * time.Minute},
	"no":                  {dhcpv4.MessageTypeNak, nil, "not to be had (NAK)", 2 * time.Minute},
	"a resolver's domain": {dhcpv4.MessageTypeAck, []dhcpv4.Modifier{dhcpv4.WithOption(dhcpv4.OptDomainName("a\nnameserver 192.0.2.1"))}, "", time.Hour},
}

// TestOddRenewals has a server say each of them to a container that lives. What it says of time is taken; of what else it changes CHECK tells; what cannot be used changes nothing.
func TestOddRenewals(t *testing.T) {
	for name, c := range renewals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				s := newServed(t, append(often, pool, "--dhcp-option=6")...)
				s.start()
				nstest.Namespace(t, "c1")
				got := succeed(t, "ADD", "bridge", "c1", dhcpConfig(""))
				was := strings.TrimSuffix(addressOf(t, got.Out), "/24")
				s.server.kill()
				answered := s.answer(func(m *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
					reply, err := dhcpv4.NewReplyFromRequest(m, append([]dhcpv4.Modifier{dhcpv4.WithMessageType(c.kind), dhcpv4.WithYourIP(m.ClientIPAddr), dhcpv4.WithNetmask(net.CIDRMask(24, 32)),
						dhcpv4.WithRouter(net.IPv4(10, 9, 0, 1)), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 9, 0, 1))), dhcpv4.WithLeaseTime(3600)}, c.answer...)...)
					if err != nil {
						t.Error(err)
					}
					return reply
				})
				select {
				case <-answered:
				case <-time.After(slack.Of(20 * time.Second)):
					t.Fatal("nobody asks for more time")
				}
				config := previous(dhcpConfig(""), got.Out)
				if c.drift == "" {
					succeed(t, "CHECK", "dhcp", "c1", config) // which waits for what is done about the lease
				} else {
					tells(t, config, strings.Replace(c.drift, "10.9.0.10/", was+"/", 2))
				}
				if r := records(t)[0]; r.End != c.end || r.Addr.Addr().String() != was {
					t.Errorf("%s for %v, want %s for %v", r.Addr, r.End, was, c.end)
				}
				succeed(t, "DEL", "bridge", "c1", dhcpConfig(""))
				s.nothing("DEL")
			})
		})
	}
}

// answer is a server of the test's own, for requests alone. It tells of its first answer.
func (s *served) answer(reply func(*dhcpv4.DHCPv4) *dhcpv4.DHCPv4) chan struct{} {
	s.Helper()
	bound := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		return errors.Join(raw.Control(func(fd uintptr) { err = unix.SetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_BINDTODEVICE, "lan0") }), err)
	}}
	conn, err := bound.ListenPacket(s.Context(), "udp4", ":67")
	must(s.T, err)
	s.Cleanup(func() { conn.Close() })
	answered, once := make(chan struct{}), sync.Once{}
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			m, err := dhcpv4.FromBytes(buffer[:n])
			if err != nil || m.MessageType() != dhcpv4.MessageTypeRequest {
				continue
			}
			if _, err := conn.WriteTo(reply(m).ToBytes(), from); err == nil {
				once.Do(func() { close(answered) })
			}
		}
	}()
	return answered
}
