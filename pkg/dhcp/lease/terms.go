package lease

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/dhcp/packet"
	"github.com/trestle-cni/trestle/pkg/order"
)

// errUnusable is an answer of which no container can be made.
var errUnusable = errors.New("the server's answer cannot be used")

// read takes the terms from a server's answer. Whoever is on the link may have written it, and the container's own resolver, say, gets the names as they are: what is
// not what it should be is not taken.
func (o Options) read(m *dhcpv4.DHCPv4, from packet.Way) (t Terms, err error) {
	t.Addr, t.Server, t.ServerMAC = subnet(m), identifier(m), from.MAC
	switch {
	case !t.Addr.IsValid():
		return t, fmt.Errorf("%w: it has no address with a subnet mask: %v %v", errUnusable, m.YourIPAddr, m.SubnetMask())
	case !t.Server.IsValid():
		return t, fmt.Errorf("%w: it does not say who the server is", errUnusable)
	}
	if list := addresses(m.Router()); len(list) > 0 {
		t.Router = list[0]
	}
	t.Routes = routesOf(m, t.Router)
	t.DNS, t.Domain, t.Search = addresses(m.DNS()), domain(strings.TrimRight(m.DomainName(), "\x00")), search(m)
	if mtu := m.Options.Get(dhcpv4.GenericOptionCode(interfaceMTU)); o.MTU && len(mtu) == 2 {
		t.MTU = int(mtu[0])<<8 | int(mtu[1])
	}
	if t.MTU < leastMTU {
		t.MTU = 0
	}
	return t, t.times(m)
}

// leastMTU is that of RFC 2132, section 5.1.
const leastMTU = 68

// subnet is the address that is given, with its mask; the zero Prefix where that is none that an interface can have.
func subnet(m *dhcpv4.DHCPv4) netip.Prefix {
	ones, bits := m.SubnetMask().Size()
	if list := addresses([]net.IP{m.YourIPAddr}); len(list) == 1 && bits == 32 && ones > 0 {
		return netip.PrefixFrom(list[0], ones)
	}
	return netip.Prefix{}
}

// identifier is who the server is; the zero Addr where it does not say.
func identifier(m *dhcpv4.DHCPv4) netip.Addr {
	return append(addresses([]net.IP{m.ServerIdentifier()}), netip.Addr{})[0]
}

// forEver is the number of seconds of a lease that does not end, RFC 2131, section 3.3.
const forEver = (1<<32 - 1) * time.Second

// Shortest is the least time after which a server is asked again.
const Shortest = time.Second

// times reads how long the terms hold. Where the server does not say when to ask again it is at half of the time, and at 85 of 100 of everybody.
func (t *Terms) times(m *dhcpv4.DHCPv4) error {
	switch t.End = m.IPAddressLeaseTime(time.Hour); t.End {
	case forEver:
		t.End = 0
		return nil
	case 0:
		return fmt.Errorf("%w: the lease is over as it begins", errUnusable)
	}
	t.Renew = min(max(m.IPAddressRenewalTime(t.End/2), Shortest), t.End)
	t.Rebind = min(max(m.IPAddressRebindingTime(t.End/20*17), t.Renew), t.End)
	return nil
}

// longestSearch is more bytes than a list of domains has that anybody searches. Names in it stand for others, so that a long one would be a very long one.
const longestSearch = 1024

func search(m *dhcpv4.DHCPv4) (list []string) {
	if len(m.Options.Get(dhcpv4.OptionDNSDomainSearchList)) > longestSearch {
		return nil
	}
	if labels := m.DomainSearch(); labels != nil {
		for _, name := range labels.Labels {
			if domain(name) != "" {
				list = append(list, name)
			}
		}
	}
	return list
}

// domain is the name of a domain (RFC 1035, section 2.3.4, and underscores); empty for what is none.
func domain(name string) string {
	if len(name) > 253 {
		return ""
	}
	for _, label := range strings.Split(strings.TrimSuffix(name, "."), ".") {
		if label == "" || len(label) > 63 || strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return ""
		}
	}
	return name
}

// addresses are those that a host can have.
func addresses(list []net.IP) (addrs []netip.Addr) {
	for _, ip := range list {
		if addr, is := netip.AddrFromSlice(ip.To4()); is && (addr.IsGlobalUnicast() || addr.IsLinkLocalUnicast()) {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// routesOf are the classless routes alone where there are any (RFC 3442), else those to classes of networks, and a default route by the router. Of several to one
// network the first is meant, and what is on the link goes first, by which the rest may be reached.
func routesOf(m *dhcpv4.DHCPv4, router netip.Addr) (list []Route) {
	if list = classless(m); len(list) == 0 {
		list = classful(m)
		if router.IsValid() {
			list = append(list, Route{netip.PrefixFrom(netip.IPv4Unspecified(), 0), router})
		}
	}
	var single []Route
	for _, r := range list {
		if !slices.ContainsFunc(single, func(had Route) bool { return had.Dst == r.Dst }) {
			single = append(single, r)
		}
	}
	order.By(single, func(a, b Route) int { return a.Via.BitLen() - b.Via.BitLen() }) // none has none
	return single
}

func classless(m *dhcpv4.DHCPv4) (list []Route) {
	for _, r := range m.ClasslessStaticRoute() {
		dst, is := netip.AddrFromSlice(r.Dest.IP.To4())
		via := addresses([]net.IP{r.Router})
		if ones, bits := r.Dest.Mask.Size(); is && bits == 32 && (len(via) > 0 || r.Router.IsUnspecified()) {
			list = append(list, Route{Dst: netip.PrefixFrom(dst, ones).Masked(), Via: append(via, netip.Addr{})[0]})
		}
	}
	return list
}

func classful(m *dhcpv4.DHCPv4) (list []Route) {
	for raw := m.Options.Get(dhcpv4.GenericOptionCode(staticRoutes)); len(raw) >= 8; raw = raw[8:] {
		dst, via := netip.AddrFrom4([4]byte(raw[:4])), addresses([]net.IP{raw[4:8]})
		ones, _ := net.IP(raw[:4]).DefaultMask().Size()
		if !dst.IsUnspecified() && ones > 0 && len(via) > 0 {
			list = append(list, Route{netip.PrefixFrom(dst, ones).Masked(), via[0]})
		}
	}
	return list
}

// Result is what the plugin prints for the terms.
func (r Record) Result() *types100.Result {
	result := &types100.Result{IPs: []*types100.IPConfig{{Address: ipNet(r.Addr), Gateway: r.Router.AsSlice()}}}
	for _, route := range r.Routes {
		cni := &types.Route{Dst: ipNet(route.Dst), GW: route.Via.AsSlice(), Priority: int(r.Options.Priority)}
		if !route.Via.IsValid() {
			link := int(unix.RT_SCOPE_LINK)
			cni.Scope = &link
		}
		result.Routes = append(result.Routes, cni)
	}
	for _, server := range r.DNS {
		result.DNS.Nameservers = append(result.DNS.Nameservers, server.String())
	}
	result.DNS.Domain, result.DNS.Search = r.Domain, r.Search
	return result
}

func ipNet(p netip.Prefix) net.IPNet {
	return net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// Differs says what of new terms a container with the old ones does not have; empty for nothing.
func (t Terms) Differs(now Terms) string {
	var list []string
	for _, c := range []struct{ what, was, is string }{
		{"address", t.Addr.String(), now.Addr.String()}, {"router", text(t.Router), text(now.Router)}, {"routes", fmt.Sprint(t.Routes), fmt.Sprint(now.Routes)},
		{"DNS", t.names(), now.names()}, {"MTU", fmt.Sprint(t.MTU), fmt.Sprint(now.MTU)}} {
		if c.was != c.is {
			list = append(list, fmt.Sprintf("%s was %s, is %s", c.what, c.was, c.is))
		}
	}
	return strings.Join(list, "; ")
}

func (t Terms) names() string { return fmt.Sprintf("%v %s %v", t.DNS, t.Domain, t.Search) }

func text(a netip.Addr) string {
	if !a.IsValid() {
		return "none"
	}
	return a.String()
}

// mostID is how many bytes of a client's name there may be, but for the one that says of which kind it is.
const mostID = 254

// Identity is the name by which the server knows the client: what the configuration provides as one, else what it asks for.
func (o Options) Identity(whose string, mac net.HardwareAddr, args map[string]string, ifName string) []byte {
	for _, given := range slices.Backward(o.Provide) {
		if given.Code == clientID {
			return []byte(given.Value)
		}
	}
	pod := args["K8S_POD_NAMESPACE"] + "/" + args["K8S_POD_NAME"]
	switch {
	case o.ClientID == "mac":
		return append([]byte{1}, mac...) // Ethernet, RFC 2132, section 9.14
	case o.ClientID == "pod" && pod != "/":
		whose = pod + "/" + ifName
	}
	return append([]byte{0}, whose[:min(len(whose), mostID)]...)
}
