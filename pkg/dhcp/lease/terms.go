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
)

// read takes the terms from a server's answer.
func (o Options) read(m *dhcpv4.DHCPv4, from packet.Way) (t Terms, err error) {
	addr, is := netip.AddrFromSlice(m.YourIPAddr.To4())
	ones, bits := m.SubnetMask().Size()
	if !is || addr.IsUnspecified() || bits != 32 {
		return t, fmt.Errorf("the server's answer has no address with a subnet mask: %v %v", m.YourIPAddr, m.SubnetMask())
	}
	t.Addr = netip.PrefixFrom(addr, ones)
	t.ServerMAC = from.MAC
	if t.Server, is = netip.AddrFromSlice(m.ServerIdentifier().To4()); !is {
		return t, errors.New("the server's answer does not say who the server is")
	}
	if list := addresses(m.Router()); len(list) > 0 {
		t.Router = list[0]
	}
	t.Routes = routesOf(m, t.Router)
	t.DNS, t.Domain = addresses(m.DNS()), strings.TrimRight(m.DomainName(), "\x00")
	if labels := m.DomainSearch(); labels != nil {
		t.Search = labels.Labels
	}
	if mtu := m.Options.Get(dhcpv4.GenericOptionCode(interfaceMTU)); o.MTU && len(mtu) == 2 {
		t.MTU = int(mtu[0])<<8 | int(mtu[1])
	}
	t.times(m)
	return t, nil
}

// forEver is the number of seconds of a lease that does not end, RFC 2131, section 3.3.
const forEver = (1<<32 - 1) * time.Second

// times reads how long the terms hold. Where the server does not say when to ask again it is at half of the time, and at 85 of 100 of everybody.
func (t *Terms) times(m *dhcpv4.DHCPv4) {
	t.End = m.IPAddressLeaseTime(time.Hour)
	if t.End == forEver {
		t.End = 0
		return
	}
	t.Renew = min(m.IPAddressRenewalTime(t.End/2), t.End)
	t.Rebind = min(max(m.IPAddressRebindingTime(t.End/20*17), t.Renew), t.End)
}

func addresses(list []net.IP) (addrs []netip.Addr) {
	for _, ip := range list {
		if addr, is := netip.AddrFromSlice(ip.To4()); is && !addr.IsUnspecified() {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// routesOf are the classless routes alone where there are any (RFC 3442), else those to classes of networks, and a default route by the router.
func routesOf(m *dhcpv4.DHCPv4, router netip.Addr) (list []Route) {
	for _, r := range m.ClasslessStaticRoute() {
		dst, is := netip.AddrFromSlice(r.Dest.IP.To4())
		if ones, bits := r.Dest.Mask.Size(); is && bits == 32 {
			via := addresses([]net.IP{r.Router})
			list = append(list, Route{Dst: netip.PrefixFrom(dst, ones).Masked(), Via: append(via, netip.Addr{})[0]})
		}
	}
	if len(list) > 0 {
		return list
	}
	for raw := m.Options.Get(dhcpv4.GenericOptionCode(staticRoutes)); len(raw) >= 8; raw = raw[8:] {
		dst, via := netip.AddrFrom4([4]byte(raw[:4])), netip.AddrFrom4([4]byte(raw[4:8]))
		ones, _ := net.IP(raw[:4]).DefaultMask().Size()
		if !dst.IsUnspecified() && ones > 0 {
			list = append(list, Route{netip.PrefixFrom(dst, ones).Masked(), via})
		}
	}
	if router.IsValid() {
		list = append(list, Route{netip.PrefixFrom(netip.IPv4Unspecified(), 0), router})
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
