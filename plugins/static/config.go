package static

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/trestle-cni/trestle/pkg/grant"
	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// config is what the network's configuration and the runtime say; README.md explains the keys.
type config struct {
	grants []grant.Grant
	routes []*types.Route
	dns    types.DNS
	detect bool // who else has an address is asked first
}

// parse reads the configuration whole. The error holds every complaint.
func parse(r *plugin.Request) (config, error) {
	if !r.Keys.Has("ipam") {
		r.Keys.Reject("ipam", nil, "must be an object")
		return config{}, r.Keys.Err()
	}
	k := r.Keys.Object("ipam")
	d := k.Object("dns")
	c := config{
		dns:    types.DNS{Nameservers: d.Strings("nameservers"), Domain: d.String("domain", ""), Search: d.Strings("search"), Options: d.Strings("options")},
		detect: k.Bool("detectConflict", false),
	}
	if r.Command != "CHECK" { // who has an address already needs none of them
		c.routes = plugin.Routes(k, "routes")
	}
	configured := parseAddresses(k)
	gateways := parseGateways(r)
	c.grants = append(slices.Clone(configured), resolve(r.Keys, "CNI_ARGS IP", split(r.Args["IP"]), configured)...)
	if asked := grant.Requested(r); len(asked) > 0 { // they replace all others, whose gateways they keep
		c.grants = complete(r.Keys, "ips", asked, configured)
	}
	for i := range c.grants {
		c.grants[i].Gateway = gatewayOf(c.grants[i], gateways, configured)
	}
	c.reject(r, k)
	return c, r.Keys.Err()
}

// parseAddresses reads ipam.addresses.
func parseAddresses(k *keys.Object) (list []grant.Grant) {
	for _, entry := range k.Objects("addresses") {
		g := grant.Grant{Addr: entry.Prefix("address"), Gateway: entry.Addr("gateway")}
		if !entry.Has("address") {
			entry.Reject("address", nil, "must be an address and prefix length, as in 10.1.0.5/24")
		}
		if g.Gateway.IsUnspecified() { // an address of zeros stands for none
			g.Gateway = netip.Addr{}
		}
		if g.Addr.IsValid() {
			list = append(list, g)
		}
	}
	return list
}

// split reads a list of CNI_ARGS, whose blanks and empty entries count for nothing.
func split(text string) (words []string) {
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			words = append(words, word)
		}
	}
	return words
}

func parseGateways(r *plugin.Request) (list []netip.Addr) {
	for _, text := range split(r.Args["GATEWAY"]) {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			r.Keys.Reject("CNI_ARGS GATEWAY", text, "must be an IP address")
			continue
		}
		list = append(list, addr.Unmap())
	}
	return list
}

func resolve(k *keys.Object, key string, texts []string, configured []grant.Grant) []grant.Grant {
	return complete(k, key, grant.Parse(k, key, texts), configured)
}

// complete gives a bare address, which is all that some runtimes can send, the prefix length of the configured subnet that has it.
func complete(k *keys.Object, key string, asked []grant.Asked, configured []grant.Grant) (list []grant.Grant) {
	for _, a := range asked {
		in := slices.IndexFunc(configured, func(g grant.Grant) bool { return g.Addr.Contains(a.Addr) })
		switch {
		case a.Bits >= 0:
			list = append(list, grant.Grant{Addr: netip.PrefixFrom(a.Addr, a.Bits)})
		case in >= 0:
			list = append(list, grant.Grant{Addr: netip.PrefixFrom(a.Addr, configured[in].Addr.Bits())})
		default:
			k.Reject(key, a.Addr.String(), "must have a prefix length, as in 10.1.0.5/24: it is in the subnet of none of ipam.addresses")
		}
	}
	return list
}

// gatewayOf is the address' own gateway, else the one of CNI_ARGS in its subnet, else the configured one of its subnet.
func gatewayOf(g grant.Grant, gateways []netip.Addr, configured []grant.Grant) netip.Addr {
	if g.Gateway.IsValid() {
		return g.Gateway
	}
	for _, addr := range gateways {
		if g.Addr.Contains(addr) {
			return addr
		}
	}
	for _, c := range configured {
		if c.Gateway.IsValid() && (g.Addr.Contains(c.Gateway) || c.Addr.Masked() == g.Addr.Masked()) {
			return c.Gateway
		}
	}
	return netip.Addr{}
}

// reject complains of what no single key is wrong with.
func (c config) reject(r *plugin.Request, k *keys.Object) {
	count := make(map[bool]int)
	for i, g := range c.grants {
		count[g.Addr.Addr().Is4()]++
		if slices.ContainsFunc(c.grants[:i], func(o grant.Grant) bool { return o.Addr.Addr() == g.Addr.Addr() }) {
			k.Reject("addresses", g.Addr.String(), "must be there once")
		}
		if r.Command != "CHECK" && g.Gateway.IsValid() && !c.reaches(g) {
			k.Reject("addresses", g.Gateway.String(), "must be a gateway in "+g.Addr.Masked().String()+", or have a route of scope 253 (link) that leads to it")
		}
	}
	if r.Version < "0.3.0" && (count[true] > 1 || count[false] > 1) {
		k.Reject("addresses", len(c.grants), "must be one of each family at the most with cniVersion "+r.Version)
	}
	if len(c.grants) == 0 && k.Err() == nil {
		k.Reject("addresses", nil, `must have an address, as in [{"address": "10.1.0.5/24"}], unless the runtime asks for one`)
	}
}

// reaches says whether the gateway is a neighbour: it is in the address's subnet, or IPv6's link-local one, or a configured route makes it one.
func (c config) reaches(g grant.Grant) bool {
	const link = 253 // RT_SCOPE_LINK, rtnetlink(7)
	return g.Addr.Contains(g.Gateway) || g.Addr.Addr().Is6() && g.Gateway.Is6() && g.Gateway.IsLinkLocalUnicast() ||
		slices.ContainsFunc(c.routes, func(r *types.Route) bool {
			return r.Scope != nil && *r.Scope == link && r.Dst.Contains(g.Gateway.AsSlice())
		})
}
