package firewall

import "strings"

// ChainPrefix begins the names of the chains of iptables that no other suite has.
const ChainPrefix = "TRESTLE-"

// IsChain says whether a chain of iptables is one of ours: by a name that no other suite has, or by one that the reference gives its own, too.
func IsChain(name string) bool {
	return strings.HasPrefix(name, ChainPrefix) || strings.HasPrefix(name, "CNI-")
}

// Sign is a chain of iptables that each transaction of ours makes and removes while somebody watches, so that the kernel tells whose it was: the program that it names is
// the tool of iptables, which others run as well.
const Sign = ChainPrefix + "SIGN"
