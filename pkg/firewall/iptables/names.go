package iptables

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/trestle-cni/trestle/pkg/digest"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// The chains that all containers of a host share, as the reference names them.
const (
	hostports = firewall.Hostports
	setMark   = "CNI-HOSTPORT-SETMARK"
	markMasq  = "CNI-HOSTPORT-MASQ"
	oldSNAT   = "CNI-HOSTPORT-SNAT" // of versions before 0.7
)

// names are the names that make an attachment's chains and comments, which have no interface in them. Of an owner whose tag had no room for the names,
// as the ledger had it, only the chains are known.
type names struct {
	network, container string
	sum                string // the hash in the names of chains
}

// namesOf returns the owner's names, and false when not even its chains are known.
func namesOf(o owner.Owner) (n names, known bool) {
	network, container, _, whole := o.Names()
	if !whole {
		sum, known := strings.CutPrefix(o.Text, sumSign)
		return names{sum: sum}, known && len(sum) == sumRoom
	}
	n = names{network: network, container: container}
	sum := digest.SHA512(network + container) // there is no separator: the name is an interface
	n.sum = hex.EncodeToString(sum[:])[:sumRoom]
	return n, true
}

func (n names) masqChain() string { return "CNI-" + n.sum }
func (n names) dnatChain() string { return "CNI-DN-" + n.sum[:21] }
func (n names) oldChain() string  { return "CNI-SN-" + n.sum[:21] }

// chain returns the name of the attachment's own chain in the role.
func (n names) chain(r firewall.Role) string {
	if r == firewall.Publish {
		return n.dnatChain()
	}
	return n.masqChain()
}

// masqComment and dnatComment are the comments of an attachment's rules, as the kernel keeps them. nerdctl's tests look for the container in them.
func (n names) masqComment() string {
	text := fmt.Sprintf("name: %q id: %q", n.network, n.container)
	return comment(text[:min(len(text), tagRoom)]) // the reference fails where it is longer
}

func (n names) dnatComment() string {
	text := fmt.Sprintf(`dnat name: "%s" id: "%s"`, n.network, n.container)
	const kept = 253
	if len(text) > tagRoom {
		text = text[:kept] + ".." // of three, which the reference puts there, the kernel keeps two
	}
	return comment(text)
}

// comment is the match for a comment as iptables-save prints it.
func comment(text string) string {
	return "-m comment --comment " + quote(text)
}

// ledgerPrefix begins the names of the chains in which we write down what an owner holds.
const ledgerPrefix = firewall.ChainPrefix

// ledgerChain returns the name of the owner's chain in the table raw, in 28 bytes, all that a chain's name may have.
func ledgerChain(o owner.Owner, r firewall.Role) string {
	key := o.Key(string(r))
	return ledgerPrefix + hex.EncodeToString(key[:10])
}

// tagRoom is what xt_comment holds, less the final zero (XT_MAX_COMMENT_LEN).
const tagRoom = 255

// In a tag that would be longer, the hash of the names of the chains stands for the names: from what is left of these no chain would follow.
const (
	sumSign = "#"
	sumRoom = 24
)

// tag returns the owner's mark for the ledger.
func (n names) tag(o owner.Owner) string {
	if tag := o.Tag(tagRoom + 1); len(tag) <= tagRoom {
		return tag
	}
	o.Text = sumSign + n.sum
	return o.Tag(tagRoom)
}
