// Package grant is what address plugins share: what a runtime asks of them, the result that they give, and what CHECK compares. It knows the protocol, and
// nothing of where a plugin has its addresses from.
package grant

import (
	"net"
	"net/netip"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// Grant is one address given to a container.
type Grant struct {
	Addr    netip.Prefix // the address with the length of its subnet
	Gateway netip.Addr   // the zero Addr: none
}

// Result is what an address plugin prints: it names no interface.
func Result(grants []Grant, routes []*types.Route, dns types.DNS) *types100.Result {
	res := &types100.Result{CNIVersion: types100.ImplementedSpecVersion, Routes: routes, DNS: dns}
	for _, g := range grants {
		addr := g.Addr.Addr()
		ip := &types100.IPConfig{Address: net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(g.Addr.Bits(), addr.BitLen())}}
		if g.Gateway.IsValid() {
			ip.Gateway = g.Gateway.AsSlice()
		}
		res.IPs = append(res.IPs, ip)
	}
	return res
}

// Asked is an address that the runtime asks for.
type Asked struct {
	Addr netip.Addr
	Bits int // length of its subnet; -1: not said
}

// Requested reads what the runtime asks for. Of two sources the first that names any is the one that counts, as CNI's conventions have it:
// runtimeConfig.ips, then args.cni.ips. Equal addresses are one request.
func Requested(r *plugin.Request) []Asked {
	runtime, args := r.Keys.Object("runtimeConfig"), r.Keys.Object("args").Object("cni")
	asked := Parse(runtime, "ips", runtime.Strings("ips"))
	if fromArgs := Parse(args, "ips", args.Strings("ips")); len(asked) == 0 {
		asked = fromArgs
	}
	return asked
}

// Parse reads addresses, each with or without a prefix length. Equal ones count once; what is none is rejected under the key.
func Parse(o *keys.Object, key string, texts []string) []Asked {
	var list []Asked
	seen := make(map[netip.Addr]bool)
	for _, text := range texts {
		asked, ok := parse(text)
		if !ok {
			o.Reject(key, text, "must be an IP address, with or without a prefix length")
			continue
		}
		if !seen[asked.Addr] {
			seen[asked.Addr] = true
			list = append(list, asked)
		}
	}
	return list
}

func parse(text string) (Asked, bool) {
	if strings.ContainsRune(text, '/') {
		p, err := keys.ParsePrefix(text)
		return Asked{p.Addr(), p.Bits()}, err == nil
	}
	addr, err := netip.ParseAddr(text)
	return Asked{addr.Unmap(), -1}, err == nil && addr.Zone() == ""
}

// Held returns the addresses of the result that belong to the container's interface. An address plugin's own result names no
// interface, so an address without one counts.
func Held(prev *types100.Result, ifName string) []Grant {
	var list []Grant
	for _, ip := range prev.IPs {
		if at := ip.Interface; at != nil && *at >= 0 && *at < len(prev.Interfaces) {
			if link := prev.Interfaces[*at]; link.Sandbox == "" || link.Name != ifName {
				continue
			}
		}
		if addr, ok := netip.AddrFromSlice(ip.Address.IP); ok {
			ones, bits := ip.Address.Mask.Size()
			addr = addr.Unmap()
			gateway, _ := netip.AddrFromSlice(ip.Gateway)
			list = append(list, Grant{netip.PrefixFrom(addr, ones-(bits-addr.BitLen())), gateway.Unmap()})
		}
	}
	return list
}

// Drift is what CHECK answers where a reservation or a result is not as it was made; nil for nil.
func Drift(err error) error {
	if err == nil {
		return nil
	}
	return fault.New(fault.Drift, "DEL and ADD this attachment", "%w", err)
}
