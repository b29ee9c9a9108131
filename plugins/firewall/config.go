package firewall

import (
	"cmp"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/host"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// Config is a network's configuration, whole and valid. README.md explains each key.
type Config struct {
	Filter  host.Choice
	Admin   string // the operator's chain, which is asked first
	Ingress firewall.Ingress
}

// Parse reads the configuration, and complains of all that is wrong with it at once.
func Parse(req *plugin.Request) (Config, error) {
	k := req.Keys
	c := Config{Filter: host.Choice{Zone: cmp.Or(k.String("firewalldZone", ""), "trusted")}}
	if k.String("backend", "") != "" { // as podman writes it where none is chosen
		c.Filter.Backend = host.Parse(k, "backend", host.FirewallD)
	}
	c.Admin = cmp.Or(k.String("iptablesAdminChainName", ""), firewall.AdminChain)
	if !chainName(c.Admin) {
		k.Reject("iptablesAdminChainName", c.Admin, "must be the name that a chain of yours can have under iptables: at most 28 bytes, no blank, no quotation mark, not - or ! first, and none of the filter's own")
	}
	c.Ingress = firewall.Ingress(cmp.Or(k.String("ingressPolicy", ""), string(firewall.Open)))
	if !slices.Contains([]firewall.Ingress{firewall.Open, firewall.SameBridge, firewall.Isolated}, c.Ingress) {
		k.Reject("ingressPolicy", c.Ingress, "must be open, same-bridge or isolated")
	}
	return c, k.Err()
}

// longestChain is how long the name of a chain of iptables may be, in bytes (XT_EXTENSION_MAXNAMELEN, less the final zero).
const longestChain = 28

// chainName says whether the name can be that of an operator's chain, to iptables. Under nftables it is written as nft can (package nft).
func chainName(name string) bool {
	own := slices.Contains([]string{"INPUT", "OUTPUT", "FORWARD", "ACCEPT", "DROP", "QUEUE", "RETURN", firewall.ForwardChain, firewall.PublishedChain}, name) ||
		strings.HasPrefix(name, "CNI-ISOLATION-STAGE-")
	unwritten := func(r rune) bool { return r <= ' ' || r == '"' || r == 0x7f }
	return !own && len(name) <= longestChain && !strings.ContainsAny(name[:1], "-!") && !strings.ContainsFunc(name, unwritten)
}
