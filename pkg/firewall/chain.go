package firewall

import (
	"strconv"
	"strings"
)

// ChainPrefix begins the names of the chains of iptables that no other suite has.
const ChainPrefix = "TRESTLE-"

// IsChain says whether a chain of iptables is one of ours: by a name that no other suite has, or by one that the reference gives its own, too.
func IsChain(name string) bool {
	return strings.HasPrefix(name, ChainPrefix) || strings.HasPrefix(name, "CNI-")
}

// Sign is a chain of iptables that each transaction of ours makes and removes while somebody watches, so that the kernel tells whose it was: the program that it names is
// the tool of iptables, which others run as well.
const Sign = ChainPrefix + "SIGN"

// Hostports is the chain of iptables that leads to published ports, as the reference names it. Other programs read it: nerdctl looks there for ports that are taken.
const Hostports = "CNI-HOSTPORT-DNAT"

// Named reads for whom a rule of iptables is, by its comment: "name: NETWORK id: CONTAINER", each quoted, as the reference writes it and so do we. In the chain
// Hostports "dnat " comes before. What is not there, or was cut off, is empty.
func Named(comment string) (network, container string) {
	network, rest := quoted(strings.TrimPrefix(comment, "dnat "), "name: ")
	container, _ = quoted(rest, " id: ")
	return network, container
}

// quoted is the quoted word after what is before it, and the rest; both are empty where it is not whole. Package fmt can read it, too, in 20 KB.
func quoted(text, before string) (word, rest string) {
	text, found := strings.CutPrefix(text, before)
	quote, err := strconv.QuotedPrefix(text)
	if !found || err != nil {
		return "", ""
	}
	word, _ = strconv.Unquote(quote) // it is one
	return word, text[len(quote):]
}
