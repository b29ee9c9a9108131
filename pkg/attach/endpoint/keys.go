package endpoint

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// minMTU and maxMTU are what a pair of links takes: ETH_MIN_MTU and ETH_MAX_MTU of include/uapi/linux/if_ether.h, in bytes.
const (
	minMTU = 68
	maxMTU = 65535
)

// MTU reads the key mtu, in bytes; 0 is the kernel's default.
func MTU(k *keys.Object) int {
	mtu := k.Int("mtu", 0, 0, maxMTU)
	if mtu != 0 && mtu < minMTU {
		k.Reject("mtu", mtu, fmt.Sprintf("must be 0, or %d at least", minMTU))
	}
	return mtu
}

// IPAM reads the name of the address plugin, empty when the network has none.
func IPAM(k *keys.Object) string {
	kind := k.Object("ipam").String("type", "")
	if strings.ContainsRune(kind, '/') {
		k.Reject("ipam.type", kind, "must be a plugin's name, without a path")
	}
	return kind
}

// MAC takes the container's MAC from the first source that has one, in the reference's order.
func MAC(req *plugin.Request) net.HardwareAddr {
	k := req.Keys
	for _, mac := range []net.HardwareAddr{k.Object("runtimeConfig").MAC("mac"), k.Object("args").Object("cni").MAC("mac")} {
		if mac != nil {
			return mac
		}
	}
	return ArgsMAC(req)
}

// ArgsMAC takes it from CNI_ARGS.
func ArgsMAC(req *plugin.Request) net.HardwareAddr {
	text := req.Args["MAC"]
	if text == "" {
		return nil
	}
	mac, err := keys.ParseMAC(text)
	if err != nil {
		req.Keys.Reject("CNI_ARGS.MAC", text, err.Error())
	}
	return mac
}

// Exclude reads ipMasqExclude, the destinations that are never masqueraded.
func Exclude(k *keys.Object) []netip.Prefix { return Subnets(k, "ipMasqExclude") }

// Subnets reads a list of subnets.
func Subnets(k *keys.Object, key string) []netip.Prefix {
	var list []netip.Prefix
	for i, text := range k.Strings(key) {
		p, err := keys.ParsePrefix(text)
		if err != nil || p != p.Masked() {
			k.Reject(fmt.Sprintf("%s[%d]", key, i), text, "must be a subnet without host bits, as in 10.0.0.0/8")
			continue
		}
		list = append(list, p)
	}
	return list
}

// DNS returns the network's own DNS settings, nil when it has none, so that those of the IPAM plugin hold. An empty list counts.
func DNS(k *keys.Object) *types.DNS {
	d := k.Object("dns")
	dns := &types.DNS{Nameservers: d.Strings("nameservers"), Domain: d.String("domain", ""), Search: d.Strings("search"), Options: d.Strings("options")}
	if dns.Nameservers == nil && dns.Domain == "" && dns.Search == nil && dns.Options == nil {
		return nil
	}
	return dns
}
