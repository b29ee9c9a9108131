// Package owner says who an object in the kernel belongs to, and derives every name and mark of such an object from that.
//
// Whoever knows the network, the container and the interface can compute where everything of theirs is; and whoever finds
// a marked object can tell whose it is. So DEL and GC need neither a namespace nor a prevResult nor a file of state.
package owner

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/trestle-cni/trestle/pkg/digest"
)

// ID is the identity of one attachment, as machines compare it. The zero ID belongs to nobody.
type ID struct {
	Network [8]byte  // hash of the network's name
	Owner   [11]byte // hash of network, container ID and interface name
}

// Owner is an attachment: one interface of one container on one network.
type Owner struct {
	ID
	Text string // network/containerID/ifname for people; cut short when it was read from a tag
}

// Of returns the owner of the attachment. No name may contain a slash; the CNI specification's rules for them see to that.
func Of(network, containerID, ifName string) Owner {
	text := network + "/" + containerID + "/" + ifName
	sum := digest.SHA256(text)
	return Owner{ID: ID{Network: Network(network), Owner: [11]byte(sum[:11])}, Text: text}
}

// Network returns the hash by which the objects of one network are recognised.
func Network(name string) [8]byte {
	sum := digest.SHA256(name)
	return [8]byte(sum[:8])
}

// On says whether the attachment is on the network of that hash. The zero hash stands for every network.
func (o Owner) On(network [8]byte) bool { return network == [8]byte{} || o.ID.Network == network }

// Room in bytes for a tag where the kernel keeps one.
const (
	AliasRoom   = 255 // IFALIASZ less the final zero, include/uapi/linux/if.h
	CommentRoom = 127 // what nft(8) accepts as an element's comment, less the final zero
	MinRoom     = 43  // both hashes, and the space after them by which Parse knows that they are whole
)

const prefix = "t1 "

// Tag returns the mark of an object of o, of at most room bytes:
//
//	t1 <16 hex of the network> <22 hex of the owner> network/containerID/ifname
//
// The text is cut to fit and never compared. Room must be MinRoom at least.
func (o Owner) Tag(room int) string {
	tag := prefix + hex.EncodeToString(o.ID.Network[:]) + " " + hex.EncodeToString(o.ID.Owner[:]) + " " + o.Text
	return tag[:min(len(tag), room)]
}

// Parse reads a tag. It says false to anything that is not one, which is how a foreign object is told from ours.
func Parse(tag string) (Owner, bool) {
	fields := strings.SplitN(tag, " ", 4)
	if len(fields) != 4 || fields[0]+" " != prefix {
		return Owner{}, false
	}
	var o Owner
	network, err1 := hex.DecodeString(fields[1])
	id, err2 := hex.DecodeString(fields[2])
	if err1 != nil || err2 != nil || len(network) != len(o.ID.Network) || len(id) != len(o.ID.Owner) {
		return Owner{}, false
	}
	copy(o.ID.Network[:], network)
	copy(o.ID.Owner[:], id)
	o.Text = fields[3]
	return o, true
}

// Locks is the name of the file, among the locks, in which each owner has a place of its own; who is at work on an attachment has locked that.
const Locks = "owners.lock"

// Place is where in Locks the owner's place is.
func (id ID) Place() int64 { return int64(binary.BigEndian.Uint64(id.Owner[:]) >> 2) }

// HostLink returns the name of the attachment's interface on the host: "veth" and 11 hex digits, 15 bytes, all that Linux allows.
func (o Owner) HostLink() string {
	return "veth" + hex.EncodeToString(o.ID.Owner[:])[:11]
}

// Key returns the 128 bits under which the attachment's part in one role (masquerade, publish ...) is found in a packet filter.
// Each role has its own, because each is written and removed by another plugin.
func (o Owner) Key(role string) [16]byte {
	sum := digest.SHA256(role + "/" + hex.EncodeToString(o.ID.Owner[:]))
	return [16]byte(sum[:16])
}

func (o Owner) String() string { return o.Text }

// Names takes o's text apart. It says false when the text was cut short, as that of a tag may be.
func (o Owner) Names() (network, containerID, ifName string, whole bool) {
	parts := strings.SplitN(o.Text, "/", 3)
	if len(parts) != 3 || Of(parts[0], parts[1], parts[2]).ID != o.ID {
		return "", "", "", false
	}
	return parts[0], parts[1], parts[2], true
}

// Beside says whether both are attachments of one container. Where the other's text was cut short, as that of a tag may be, it has to be one of the
// interfaces that runtimes make.
func (o Owner) Beside(other Owner) bool {
	if o.ID == other.ID {
		return false
	}
	_, id, ifName, whole := o.Names()
	if !whole {
		return false
	}
	if _, with, _, whole := other.Names(); whole {
		return with == id
	}
	network, _, _ := strings.Cut(other.Text, "/")
	if Of(network, id, ifName).ID == other.ID {
		return true
	}
	for i := range 16 {
		n := strconv.Itoa(i)
		if Of(network, id, "eth"+n).ID == other.ID || Of(network, id, "net"+n).ID == other.ID {
			return true
		}
	}
	return false
}
