// Package observe reads a host into one picture of plain data: every network namespace with its links, addresses, routes and rules; the
// attachments that containers have, ours and others'; and what disk and runtimes say of them.
//
// Things refer to each other by identifiers. They are made of names and of the kernel's numbers of namespaces, never of places in a list
// or of process numbers, so that two reads of a host that did not change are equal. What could not be read is in the picture, too: a
// Problem each, and a namespace that could not be entered says why.
package observe

import (
	"net/netip"
	"time"

	"github.com/trestle-cni/trestle/pkg/operator/ruleset"
)

// Host is one read of a host.
type Host struct {
	Namespaces   []*Namespace   `json:"namespaces"` // the host's own first, then by name
	Attachments  []*Attachment  `json:"attachments"`
	Reservations []*Reservation `json:"reservations"`
	Networks     []*Network     `json:"networks"` // by name
	Problems     []Problem      `json:"problems,omitempty"`

	namespaces  index[string, *Namespace]
	attachments index[string, *Attachment]
}

// Devices is the object of a problem with what is written down of lent devices.
const Devices = "lent devices"

// Results is the object of a problem with what runtimes remember.
const Results = "results of runtimes"

// Problem is something that could not be read.
type Problem struct {
	Object string `json:"object"`
	Cause  string `json:"cause"`
	Remedy string `json:"remedy,omitempty"`
	Hidden bool   `json:"hidden,omitempty"` // it may be whole: the reader has no right to it, or the device failed
}

// Origin says who made a thing.
type Origin string

// The origins, as far as names and marks tell.
const (
	Trestle   Origin = "trestle"   // its mark is on it
	Reference Origin = "reference" // by its names, or by what a runtime remembers of it
	Docker    Origin = "docker"    // by its names
	Kernel    Origin = "kernel"    // there without anybody's doing
	Foreign   Origin = "foreign"   // anybody else's
)

// Namespace is a network namespace.
type Namespace struct {
	ID        string    `json:"id"` // netns/<inode number>, and netns/host for the host's own
	Name      string    `json:"name"`
	Paths     []string  `json:"paths,omitempty"` // files that it is bound to
	Inode     uint64    `json:"inode"`
	Host      bool      `json:"host,omitempty"`
	Processes []Process `json:"processes,omitempty"` // the first few of those in it
	Closed    string    `json:"closed,omitempty"`    // why it could not be entered or read whole; then all below is empty

	Links      []*Link           `json:"links,omitempty"` // by index
	Routes     []Route           `json:"routes,omitempty"`
	Rules      []Rule            `json:"rules,omitempty"` // of policy routing
	Neighbours []Neighbour       `json:"neighbours,omitempty"`
	Sysctls    map[string]string `json:"sysctls,omitempty"` // those that matter, by the key below /proc/sys/net
	Conntrack  int               `json:"conntrack"`         // entries; -1 where that is not to be known
	Filter     *ruleset.Ruleset  `json:"filter,omitempty"`  // nil where it could not be read

	found     string // the path at which it was seen first
	links     index[string, *Link]
	addresses index[netip.Addr, *Link]
}

// Process is a process in a namespace.
type Process struct {
	PID     int    `json:"pid"`
	Command string `json:"command"`
}

// Link is a network interface.
type Link struct {
	ID         string      `json:"id"` // <namespace>/<name>
	Name       string      `json:"name"`
	Index      int         `json:"index"`
	Kind       string      `json:"kind"` // veth, bridge, ...; device for what has none
	MAC        string      `json:"mac,omitempty"`
	MTU        int         `json:"mtu"`
	Up         bool        `json:"up"`                   // set up by somebody
	Running    bool        `json:"running"`              // and able to pass frames: it has a carrier
	Master     string      `json:"master,omitempty"`     // the link that it is a port of
	Peer       string      `json:"peer,omitempty"`       // the other end of a pair
	Parent     string      `json:"parent,omitempty"`     // what it hangs on
	PeerHidden bool        `json:"peerHidden,omitempty"` // it has another end, in a namespace that was not found or entered
	Alias      string      `json:"alias,omitempty"`
	Attachment string      `json:"attachment,omitempty"` // whose host link or container's interface it is
	Origin     Origin      `json:"origin"`
	Port       *BridgePort `json:"port,omitempty"`
	Advertised bool        `json:"advertised,omitempty"` // of the host's, and with accept_ra 1: a router has advertised itself there
	Outward    bool        `json:"outward,omitempty"`    // and no container can have
	Addresses  []Address   `json:"addresses,omitempty"`
}

// BridgePort is what a link is as the port of a bridge.
type BridgePort struct {
	State    string `json:"state"`
	Hairpin  bool   `json:"hairpin,omitempty"`
	Isolated bool   `json:"isolated,omitempty"`
}

// Address is an address of a link.
type Address struct {
	Prefix    netip.Prefix `json:"prefix"`
	Scope     string       `json:"scope"` // global, link or host
	Origin    Origin       `json:"origin"`
	Tentative bool         `json:"tentative,omitempty"`
}

// Route is a route of the tables main, local and any other.
type Route struct {
	Destination netip.Prefix `json:"destination"`
	Gateway     netip.Addr   `json:"gateway,omitzero"`
	Link        string       `json:"link,omitempty"` // the link's name
	Source      netip.Addr   `json:"source,omitzero"`
	Table       uint32       `json:"table"` // rtnetlink(7): 254 main, 255 local
	Metric      uint32       `json:"metric,omitempty"`
	Kind        string       `json:"kind,omitempty"` // empty for unicast; blackhole, unreachable ...
	Protocol    string       `json:"protocol,omitempty"`
}

// Rule is a rule of policy routing, in the words of ip-rule(8).
type Rule struct {
	Priority uint32 `json:"priority"`
	Text     string `json:"text"`
	IPv6     bool   `json:"ipv6,omitempty"`
	Kind     string `json:"kind,omitempty"` // of a rule that throws packets away: blackhole, unreachable or prohibit

	From   netip.Prefix `json:"-"` // whose, where it says
	To     netip.Prefix `json:"-"`
	In     string       `json:"-"` // by which link it comes in
	Narrow bool         `json:"-"` // it asks for more than addresses and the link by which a packet comes in
}

// Neighbour is an entry of the neighbour table.
type Neighbour struct {
	Address netip.Addr `json:"address"`
	MAC     string     `json:"mac,omitempty"`
	Link    string     `json:"link"`
	State   string     `json:"state"`
}

// State is how an attachment is.
type State string

// The states.
const (
	Whole  State = "whole"  // all that is known of it is there
	Broken State = "broken" // it lives, and something of it is missing
	Half   State = "half"   // no runtime remembers it, and it has no address: an ADD that never ended, or a DEL
	Leaked State = "leaked" // the container is provably dead, and something of it is left
	Unseen State = "unseen" // nothing is known to be wrong with it, and not all of it could be looked at
)

// Wrong says whether something is known to be wrong.
func (s State) Wrong() bool { return s != Whole && s != Unseen }

// Attachment is one interface of one container on one network.
type Attachment struct {
	ID          string   `json:"id"` // network/container/interface; a tag that was cut short ends in the owner's hash
	Network     string   `json:"network"`
	ContainerID string   `json:"containerID"`
	IfName      string   `json:"ifname"`
	Pod         string   `json:"pod,omitempty"` // namespace/name, where a runtime of Kubernetes gave it
	Origin      Origin   `json:"origin"`
	State       State    `json:"state"`
	Why         []string `json:"why,omitempty"`    // of any state but whole
	Remedy      string   `json:"remedy,omitempty"` // where CHECK named one

	Netns     string     `json:"netns,omitempty"`     // the path that the runtime gave
	Namespace string     `json:"namespace,omitempty"` // where its interface was found
	Link      string     `json:"link,omitempty"`      // its interface
	HostLink  string     `json:"hostLink,omitempty"`  // the other end
	Bridge    string     `json:"bridge,omitempty"`    // the link that the host's end is a port of
	Addresses []string   `json:"addresses,omitempty"` // with prefix lengths: those of the interface, or else those that were given to it
	Ports     []Port     `json:"ports,omitempty"`
	Masked    []string   `json:"masqueraded,omitempty"` // addresses that leave with the host's
	Device    string     `json:"device,omitempty"`      // of the host's that it was lent: its name there
	Stranded  string     `json:"stranded,omitempty"`    // the host's link that was its device, back by itself since its network namespace is gone
	Result    string     `json:"result,omitempty"`      // the file in which a runtime remembers it
	Since     *time.Time `json:"since,omitempty"`       // when the runtime wrote that
	Ruled     bool       `json:"-"`                     // the packet filter has something of it
	Relic     string     `json:"-"`                     // the link of an earlier attachment of the same names, of which rules of ours are left
	Promise   Promise    `json:"-"`                     // what the runtime remembers that it was given
}

// Port is a published port.
type Port struct {
	Protocol string         `json:"protocol"`
	HostIP   netip.Addr     `json:"hostIP,omitzero"` // absent: every address of the host
	HostPort uint16         `json:"hostPort"`
	Target   netip.AddrPort `json:"target"`
	Backend  string         `json:"backend"` // nftables or iptables
}

// Reservation is an address that host-local keeps for somebody.
type Reservation struct {
	ID          string     `json:"id"` // <network>/<address>
	Network     string     `json:"network"`
	Address     netip.Addr `json:"address"`
	ContainerID string     `json:"containerID,omitempty"` // none: a file that names nobody
	IfName      string     `json:"ifname,omitempty"`
	Attachment  string     `json:"attachment,omitempty"`
	Dead        string     `json:"dead,omitempty"`   // the proof that its owner is dead
	Unread      string     `json:"unread,omitempty"` // why it could not be read; then it is not known whose it is

	lives bool // its owner's network namespace was found
}
