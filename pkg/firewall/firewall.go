// Package firewall is what a plugin may ask of the host's packet filter: intentions, never rules.
//
// A claim is what one attachment wants in one role. A filter holds it, drops it, says whether it is held, and lists who
// holds anything. Its answers live in the sub-packages (nft, none); package firewalltest asks all of them the same questions.
package firewall

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/owner"
)

// OwnTable says whether a table of that name is ours.
func OwnTable(name string) bool { return name == Table || name == ForwardTable }

// KeepsApart says whether a rule of the table, as nft names it, and the chain keeps bridges or their ports from each other because a network's policy wants
// that: ours, or the reference's.
func KeepsApart(table, chain string) bool {
	return strings.HasSuffix(table, " "+ForwardTable) && chain == "forward" || strings.HasPrefix(chain, "CNI-ISOLATION-STAGE-")
}

// Table is the name of our tables in nf_tables, of each family.
const Table = "trestle"

// ForwardTable is the name of the tables that the plugin firewall needs: apart, so that packets of other hosts do not pass their chains.
const ForwardTable = "trestle_forward"

// Role is the part of an attachment's traffic that a claim is about. One plugin writes one role.
type Role string

// The roles.
const (
	Masquerade Role = "masquerade" // traffic leaving the container's subnet takes the host's address (bridge, ptp)
	Publish    Role = "publish"    // host ports lead to the container (portmap)
	Antispoof  Role = "antispoof"  // the container sends under its own addresses only (bridge)
	Forward    Role = "forward"    // the container's traffic passes the host, whatever the host does to that of others (firewall)
	Isolate    Role = "isolate"    // the container's port exchanges no frames with other ports of its bridge (firewall)
)

// Roles lists them all.
func Roles() []Role { return []Role{Masquerade, Publish, Antispoof, Forward, Isolate} }

// Frames says whether the role is about frames of a bridge, which iptables never sees.
func (r Role) Frames() bool { return r == Antispoof || r == Isolate }

// Shared says whether an owner may claim in the role more than once: a list may have the plugin twice, and what all of its entries ask for is held together.
// The reference has it so.
func (r Role) Shared() bool { return r == Publish || r == Forward || r == Isolate }

// Claim is what one owner wants in one role. Only the fields of its role are set. A claim without values stands for
// everything that the owner holds in the role: a DEL that knows no addresses and no ports still drops all of it. In a role that is Shared, what the owner
// holds beside it is another claim of his.
type Claim struct {
	Role   Role
	Masq   []Masq
	Ports  []Port
	Spoof  []Spoof
	Pass   []netip.Addr // Forward: the container's addresses
	Admin  string       // Forward: the operator's chain, which is asked first; empty: the usual one
	Alone  []string     // Isolate: the host's ends, which are ports of a bridge
	Told   []netip.Addr // Forward, to a Drop: the owner's addresses by what else is known of him. A rule that names nobody is his by these
	Linked bool         // the owner's HostLink carries the attachment: where that link is gone, the owner is dead
	Life   string       // where no link of the host's carries it, whose interface it is for, so that what is left of an earlier one can be told; empty: not known
	First  bool         // in a role that is Shared: no other claim of the owner's comes before it, so that what he leads elsewhere is led here. A repair knows that, an ADD does not

	// Hidden tells of what was asked for and is not in the claim, since it would have no effect.
	Hidden []string

	// Bare are the container's addresses of the families in which none of the ports that were asked for is published. Only package iptables looks at
	// them: the reference makes an empty chain there, and its CHECK wants it.
	Bare []Bare

	// Promptly asks a Drop to have taken effect when it returns, which may cost a grace period of the kernel's (8 to 20 ms), and not some
	// milliseconds later. Nothing else looks at it.
	Promptly bool
}

// Empty says that nothing of a packet is claimed. What is bare is no packet's.
func (c Claim) Empty() bool {
	return len(c.Masq)+len(c.Ports)+len(c.Spoof)+len(c.Pass)+len(c.Alone) == 0
}

// AdminName is the operator's chain that is asked first.
func (c Claim) AdminName() string { return cmp.Or(c.Admin, AdminChain) }

// Masq is one address whose packets leave with the host's address, unless they go to Subnet, to one of Except, or to a group
// (multicast). What connection tracking calls invalid, and no translation touches, does not leave at all.
type Masq struct {
	Addr   netip.Addr
	Subnet netip.Prefix   // masked; the container's own
	Except []netip.Prefix // masked; of Addr's family, in any order, one inside the other or not
}

// Port is one published port: what comes to HostPort of a host's address goes to Target.
type Port struct {
	Protocol uint8          // IANA number: 6 tcp, 17 udp, 132 sctp
	HostIP   netip.Addr     // the zero Addr: every address of the host, in Target's family
	HostPort uint16         // 1 to 65535
	Target   netip.AddrPort // the container's address and port
	Subnet   netip.Prefix   // masked; the container's subnet, for hairpin traffic
	SNAT     SNAT

	// Conditions must all hold for a packet to be led to the target. A port with any is nobody's alone: others may publish it, too, and
	// come next. A filter with a rule language of its own may be given the conditions in that instead, and leave these.
	Conditions []Condition
}

// Bare is an address to which no port leads.
type Bare struct {
	Addr netip.Addr
	SNAT SNAT // as the ports would have it
}

// Condition is one thing that a packet must be, or must not. One of the fields below Not is set.
type Condition struct {
	Not         bool
	Link        string       // came in by it; ending in + it stands for all names that begin so
	Source      netip.Prefix // masked
	Destination netip.Prefix // masked
	Mark        Mark
}

func (c Condition) String() string {
	text := fmt.Sprintf("mark %#x/%#x", c.Mark.Value, c.Mark.Mask)
	switch {
	case c.Link != "":
		text = "link " + c.Link
	case c.Source.IsValid():
		text = "source " + c.Source.String()
	case c.Destination.IsValid():
		text = "destination " + c.Destination.String()
	}
	if c.Not {
		return "not " + text
	}
	return text
}

// Mark is a value of some bits of a packet's mark. The zero Mask means that a condition is not about it.
type Mark struct{ Value, Mask uint32 }

// SNAT says which clients of a published port are masqueraded on their way to the container.
type SNAT uint8

// The values of SNAT.
const (
	SNATNone    SNAT = iota // none: hairpin and 127.0.0.1 do not work
	SNATHairpin             // those from the container's own subnet, and from the host's loopback
	SNATAll                 // all
)

// Spoof is one port of a bridge whose frames must come from MAC.
type Spoof struct {
	Link string // the host end
	MAC  net.HardwareAddr
}

// Ingress says what of the traffic of other containers reaches those of a link.
type Ingress string

// The values of Ingress. A link with another one than Open is a segment: nothing passes from one segment to another.
const (
	Open       Ingress = "open"        // all
	SameBridge Ingress = "same-bridge" // that of the link's own
	Isolated   Ingress = "isolated"    // none
)

// An Isolator is a filter that keeps segments from each other. What is a segment belongs to no attachment: it is one until it is said that the link
// has gone out of use.
type Isolator interface {
	// Isolate makes the link a segment. A stricter value than it has replaces that.
	Isolate(ctx context.Context, link string, in Ingress) (created bool, err error)
	// Isolated returns nil exactly when Isolate would change nothing, else a fault with code Drift.
	Isolated(ctx context.Context, link string, in Ingress) error
	// Segments lists the links that are segments.
	Segments(context.Context) ([]string, error)
	// Rejoin ends what the links are that are not in use.
	Rejoin(ctx context.Context, used func(link string) bool) error
}

// A Filter is one packet filter of one network namespace. Its methods are safe against other processes doing the same; only
// Close may not be called at the same time as another method of the same value.
type Filter interface {
	// Ground makes the constant part (tables, sets, base chains, the guard of 127.0.0.0/8) whole. It is idempotent and cheap
	// where all is there.
	Ground(context.Context) error
	// Grounded returns nil exactly when Ground would change nothing, else what differs, as expected against found.
	Grounded(context.Context) error
	// Unground removes the constant part if nobody holds anything. What is held stays, and that is no error.
	Unground(context.Context) error

	// Hold makes the claim so, all of it or nothing, in one transaction, and builds the constant part if it is missing.
	// created is false when all of it was so already. An address or port that another live owner holds is a fault with code Taken
	// that names the owner. dead says who is provably dead (nil: nobody is), and is asked once an owner; what those held is taken
	// over. What o held in the role and does not claim any more is dropped, unless the role is Shared: then it stays, and a port that it leads elsewhere
	// stays led there, which is told (Tell); so it is but for a claim that is the First, beside which o is not known to have another. A claim without values changes nothing.
	Hold(ctx context.Context, o owner.Owner, c Claim, dead func(Holder) bool) (created bool, err error)
	// Drop makes the claim not so. What is absent, or held by another owner, is left: both are success. With or without values, it
	// leaves nothing that o holds in the role.
	Drop(ctx context.Context, o owner.Owner, c Claim) error
	// Held returns nil exactly when Hold and Ground would change nothing of what carries the claim, else a fault with code Drift that
	// lists each difference. What o holds beside the only claim that he is known to have is one, and so is what bears his mark where he claims nothing.
	Held(ctx context.Context, o owner.Owner, c Claim) error
	// Holds says in constant time whether o holds anything in the role.
	Holds(ctx context.Context, o owner.Owner, r Role) (bool, error)
	// Holdings are what is known of how o holds what he does in the role, one for each place where that is written down; none where he holds nothing.
	Holdings(ctx context.Context, o owner.Owner, r Role) ([]Holder, error)
	// Owners lists who holds something in the role on the network; on any, where that is the zero hash.
	Owners(ctx context.Context, r Role, network [8]byte) ([]Holder, error)

	// Ready returns nil when Hold can work here, else a fault with code NoService that says what is missing.
	Ready(context.Context) error
	Close() error
}

// Holder is one owner as a filter knows it.
type Holder struct {
	owner.Owner
	Linked bool   // as in the claim
	Life   string // as in the claim; Holdings alone tell it
	Device string // of the host's, which is back there without him; empty for none
}

// A Publisher is a filter that tells which ports of an owner lead somewhere now, so that the flows to them can be cut when they are dropped.
// Of a port only protocol, host address, host port and target are told.
type Publisher interface {
	// Published lists the ports. The claim's values are a hint where to look, and need not be right.
	Published(ctx context.Context, o owner.Owner, c Claim) ([]Port, error)
}

// A Barrier is a filter that knows who drops, in a chain that is not ours to edit, what a claim to pass lets pass.
type Barrier interface {
	// Barred tells of the chains, each with what opens it.
	Barred(context.Context) ([]string, error)
}

// ProtocolName returns the name of a protocol whose ports can be published, by its IANA number; empty for any other.
func ProtocolName(number uint8) string {
	switch number {
	case unix.IPPROTO_TCP:
		return "tcp"
	case unix.IPPROTO_UDP:
		return "udp"
	case unix.IPPROTO_SCTP:
		return "sctp"
	}
	return ""
}

// PassMark is the bit of a packet's mark that says that it passes the host: whoever drops what he does not know can accept it by that. It is on
// within the hook forward alone.
const PassMark uint32 = 0x01000000

// PassRule is the rule that accepts what has PassMark, in the words of nft.
const PassRule = "meta mark & 0x01000000 == 0x01000000 accept"

// AdminChain is the operator's chain, which is asked before any rule of ours, where a configuration names no other.
const AdminChain = "CNI-ADMIN"

// Anchor is the comment of the one rule, in a chain FORWARD of iptables, that accepts what has PassMark; AnchorAdmin that of the rule before it, where the
// operator has a chain there.
const (
	Anchor      = "trestle anchor"
	AnchorAdmin = "trestle admin overrides"
)

// The chains that FORWARD of iptables leads to for the plugin firewall, the reference's or ours. They drop nothing of a network that is not theirs.
const (
	ForwardChain   = "CNI-FORWARD"
	IsolationChain = "CNI-ISOLATION-STAGE-1"
	PublishedChain = "TRESTLE-PUBLISHED" // ours alone: new connections to published ports, which the reference lets the policy drop
)

// Unanchored says that a chain lacks the anchor, behind the jumps to the operator's chains.
func Unanchored(chain string, admins []string) string {
	text := fmt.Sprintf("%s: expected the rule %q before all that drops", chain, Anchor)
	if len(admins) > 0 {
		text += " and behind the jump to " + strings.Join(admins, " and to ")
	}
	return text + ", found none"
}

// Turn is the file, in the directory of what need not outlive a boot, at which all backends queue that write to nf_tables: a transaction is only taken
// if nobody else's came between its maker's look and it, whoever that was.
const Turn = "nftables.lock"
