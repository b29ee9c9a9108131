package iptables

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// The chains that all containers of a host share, as the reference names them. Other programs read them: nerdctl looks for
// occupied ports in hostports.
const (
	hostports = "CNI-HOSTPORT-DNAT"
	setMark   = "CNI-HOSTPORT-SETMARK"
	markMasq  = "CNI-HOSTPORT-MASQ"
	oldSNAT   = "CNI-HOSTPORT-SNAT" // of versions before 0.7
)

// names are the three names that make an attachment. The reference's chains and comments have no interface in them.
type names struct{ network, container, ifName string }

// namesOf returns the owner's names, and false when they are not known in full.
func namesOf(o owner.Owner) (n names, whole bool) {
	n.network, n.container, n.ifName, whole = o.Names()
	return n, whole
}

// sum is the hash in the reference's names of chains. There is no separator: the name is an interface.
func (n names) sum(digits int) string {
	sum := sha512.Sum512([]byte(n.network + n.container))
	return hex.EncodeToString(sum[:])[:digits]
}

func (n names) masqChain() string { return "CNI-" + n.sum(24) }
func (n names) dnatChain() string { return "CNI-DN-" + n.sum(21) }
func (n names) oldChain() string  { return "CNI-SN-" + n.sum(21) }

// chain returns the name of the attachment's own chain in the role.
func (n names) chain(r firewall.Role) string {
	if r == firewall.Publish {
		return n.dnatChain()
	}
	return n.masqChain()
}

// masqComment and dnatComment are the comments of an attachment's rules. nerdctl's tests look for the container in them.
func (n names) masqComment() string {
	return comment(fmt.Sprintf("name: %q id: %q", n.network, n.container))
}

func (n names) dnatComment() string {
	text := fmt.Sprintf(`dnat name: "%s" id: "%s"`, n.network, n.container)
	const room, kept = 255, 253 // of xt_comment, and what the reference keeps of a longer one
	if len(text) > room {
		text = text[:kept] + "..."
	}
	return comment(text)
}

// comment is the match for a comment as iptables-save prints it.
func comment(text string) string {
	return "-m comment --comment " + quote(text)
}

// ledgerPrefix begins the names of the chains in which we write down what an owner holds.
const ledgerPrefix = "TRESTLE-"

// ledgerChain returns the name of the owner's chain in the table raw, in 28 bytes, all that a chain's name may have.
func ledgerChain(o owner.Owner, r firewall.Role) string {
	key := o.Key(string(r))
	return ledgerPrefix + hex.EncodeToString(key[:10])
}

// tagRoom is what xt_comment holds, less the final zero (XT_MAX_COMMENT_LEN).
const tagRoom = 255

// whole returns the owner's names, or an error where they would not fit a rule.
func whole(o owner.Owner) (names, error) {
	n, ok := namesOf(o)
	if !ok || len(o.Tag(tagRoom+1)) > tagRoom {
		return n, fault.New(fault.Unsupported, "use shorter names, or the backend nftables", "%s: too long for a comment of iptables", o)
	}
	return n, nil
}
