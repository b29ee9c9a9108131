// Package firewalltest asks a packet filter the questions that every one must answer in the same way.
package firewalltest

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// Backend is what the questions are put to. Both functions are called in the namespace of a test.
type Backend struct {
	Open func(t testing.TB) firewall.Filter // opens the filter of the namespace; the test closes it
	Wipe func(t testing.TB)                 // takes away all that the filter made, as an operator or another program would

	Crowd int // how many act at the same time; 0: 32
}

// Run puts every question to the backend, each in a namespace of its own.
func Run(t *testing.T, b Backend) {
	questions := map[string]func(*host){
		"hold":             hold,
		"claims":           claims,
		"bad claims":       badClaims,
		"other owner":      otherOwner,
		"take-over":        takeOver,
		"one container":    oneContainer,
		"one address":      oneAddress,
		"specific address": specificAddress,
		"exactly":          exactly,
		"lives":            lives,
		"together":         together,
		"surplus":          surplus,
		"restored":         restored,
		"earlier":          earlier,
		"no values":        noValues,
		"wrong values":     wrongValues,
		"again at once":    againAtOnce,
		"owners":           owners,
		"virgin":           virgin,
		"mixed":            mixed,
		"shared":           shared,
		"wiped":            wiped,
		"unground":         unground,
		"subnets":          subnets,
		"deadline":         deadline,
	}
	for name, question := range questions {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				h := &host{T: t, Backend: b, Filter: b.Open(t)}
				defer h.Close()
				question(h)
			})
		})
	}
}

// host is a namespace with an open filter, and short words for what is asked of it.
type host struct {
	*testing.T
	Backend
	firewall.Filter
}

func (h *host) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// wantCode fails the test unless the error is a fault with the code that mentions all of the words.
func (h *host) wantCode(err error, code uint, words ...string) {
	h.Helper()
	if fault.Code(err) != code {
		h.Fatalf("error %v (code %d), want code %d", err, fault.Code(err), code)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			h.Errorf("error %q does not mention %q", err, word)
		}
	}
}

// hold claims and fails the test unless that succeeds with the answer wanted.
func (h *host) hold(o owner.Owner, c firewall.Claim, created bool) {
	h.Helper()
	got, err := h.Hold(h.Context(), o, c, nil)
	h.must(err)
	if got != created {
		h.Errorf("hold for %s: created %t, want %t", o, got, created)
	}
	h.must(h.Held(h.Context(), o, c))
}

// holds fails the test unless the filter says so.
func (h *host) holds(o owner.Owner, r firewall.Role, want bool) {
	h.Helper()
	got, err := h.Holds(h.Context(), o, r)
	h.must(err)
	if got != want {
		h.Errorf("%s holds something as %s: %t, want %t", o, r, got, want)
	}
}

// gone fails the test unless nothing of the claim is there, whoever's it was.
func (h *host) gone(o owner.Owner, c firewall.Claim) {
	h.Helper()
	h.holds(o, c.Role, false)
	h.wantCode(h.Held(h.Context(), o, c), fault.Drift)
	stranger := owner.Of("elsewhere", "stranger", "eth9")
	_, err := h.Hold(h.Context(), stranger, c, nil)
	h.must(err)
	h.must(h.Drop(h.Context(), stranger, c))
}

// wantOwners fails the test unless exactly these hold something; on any network, where none is named.
func (h *host) wantOwners(r firewall.Role, network string, want ...firewall.Holder) {
	h.Helper()
	var hash [8]byte
	if network != "" {
		hash = owner.Network(network)
	}
	got, err := h.Owners(h.Context(), r, hash)
	h.must(err)
	byHash := func(a, b firewall.Holder) int { return slices.Compare(a.ID.Owner[:], b.ID.Owner[:]) }
	slices.SortFunc(got, byHash)
	slices.SortFunc(want, byHash)
	if diff := cmp.Diff(want, got); diff != "" {
		h.Errorf("owners (-want +got):\n%s", diff)
	}
}

func a() owner.Owner { return owner.Of("net", "one", "eth0") }
func b() owner.Owner { return owner.Of("net", "two", "eth0") }

func masq(addrs ...string) firewall.Claim {
	c := firewall.Claim{Role: firewall.Masquerade, Linked: true}
	for _, text := range addrs {
		p := netip.MustParsePrefix(text)
		c.Masq = append(c.Masq, firewall.Masq{Addr: p.Addr(), Subnet: p.Masked()})
	}
	return c
}

// except adds destinations that are not masqueraded.
func except(c firewall.Claim, prefixes ...string) firewall.Claim {
	for _, text := range prefixes {
		c.Masq[0].Except = append(c.Masq[0].Except, netip.MustParsePrefix(text))
	}
	return c
}

func publish(ports ...firewall.Port) firewall.Claim {
	return firewall.Claim{Role: firewall.Publish, Ports: ports}
}

// passing lets the addresses pass.
func passing(addrs ...string) firewall.Claim {
	c := firewall.Claim{Role: firewall.Forward}
	for _, a := range addrs {
		c.Pass = append(c.Pass, netip.MustParseAddr(a))
	}
	return c
}

// port publishes the port of every address of the host to 10.1.0.2:80 or [fd00::2]:80.
func port(protocol uint8, number uint16, target string) firewall.Port {
	to := netip.MustParseAddrPort(target)
	bits := 24
	if to.Addr().Is6() {
		bits = 64
	}
	subnet := netip.PrefixFrom(to.Addr(), bits).Masked()
	return firewall.Port{Protocol: protocol, HostPort: number, Target: to, Subnet: subnet, SNAT: firewall.SNATHairpin}
}

// Numbers of protocols, IANA.
const (
	tcp  = 6
	udp  = 17
	sctp = 132
)

func on(hostIP string, p firewall.Port) firewall.Port {
	p.HostIP = netip.MustParseAddr(hostIP)
	return p
}

func spoof(link string, mac ...byte) firewall.Claim {
	return firewall.Claim{Role: firewall.Antispoof, Spoof: []firewall.Spoof{{Link: link, MAC: net.HardwareAddr(mac)}}, Linked: true}
}

// empty is the claim of the role that names nothing.
func empty(r firewall.Role) firewall.Claim { return firewall.Claim{Role: r} }

func alive(firewall.Holder) bool { return false }

func soon(h *host) context.Context {
	ctx, cancel := context.WithTimeout(h.Context(), slack.Of(30*time.Second))
	h.Cleanup(cancel)
	return ctx
}
