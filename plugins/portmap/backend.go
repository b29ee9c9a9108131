package portmap

import (
	"strings"

	"github.com/trestle-cni/trestle/pkg/firewall/host"
	"github.com/trestle-cni/trestle/pkg/firewall/iptables"
	"github.com/trestle-cni/trestle/pkg/keys"
)

// parseBackend reads the choice of the packet filter, and the keys that mean something to iptables alone. Where nftables is chosen they are
// read and not used: configurations made for the reference have them.
func parseBackend(k *keys.Object) host.Choice {
	c := host.Choice{Backend: host.Parse(k, "backend")}
	c.IPTables = iptables.Options{
		MarkBit:   k.Int("markMasqBit", iptables.DefaultMarkBit, 0, 31),
		MarkChain: k.String("externalSetMarkChain", ""),
	}
	if c.IPTables.MarkChain != "" && k.Has("markMasqBit") {
		k.Reject("externalSetMarkChain", c.IPTables.MarkChain, "cannot be combined with markMasqBit")
	}
	if len(c.IPTables.MarkChain) > longestChain || strings.ContainsAny(c.IPTables.MarkChain, " \t\n\"'\\") {
		k.Reject("externalSetMarkChain", c.IPTables.MarkChain, "must be the name of a chain: 1 to 28 bytes without white space and quotes")
	}
	if c.Backend == host.IPTables {
		c.IPTables.ConditionsV4, c.IPTables.ConditionsV6 = parseWords(k, "conditionsV4"), parseWords(k, "conditionsV6")
	}
	return c
}

// longestChain is how long the name of a chain of iptables may be, in bytes (XT_EXTENSION_MAXNAMELEN, less the final zero).
const longestChain = 28

// parseWords reads conditions in the words of iptables. A list that begins with an empty word stands for none, as in the reference.
func parseWords(k *keys.Object, key string) []string {
	list := k.Strings(key)
	if len(list) == 0 || list[0] == "" {
		return nil
	}
	if !strings.ContainsAny(list[0][:1], "-!") {
		k.Reject(key, list, "must be words of iptables, as the backend is: begin with - or !")
	}
	for _, word := range list {
		if strings.ContainsAny(word, "\n\x00") {
			k.Reject(key, list, "must have no line breaks in it")
		}
	}
	return list
}
