package rtnl

import (
	"cmp"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// SetAlias returns the request that gives the named link an alias, at most 255 bytes.
func SetAlias(link, alias string) *nl.NetlinkRequest {
	return WithAlias(byName(unix.RTM_SETLINK, link), alias)
}

// WithAlias returns an RTM_SETLINK that gives the link an alias besides: all of it is done, or nothing.
func WithAlias(r *nl.NetlinkRequest, alias string) *nl.NetlinkRequest {
	r.AddData(nl.NewRtAttr(unix.IFLA_IFALIAS, []byte(alias)))
	return r
}

// SetUp returns the request that sets the named link up.
func SetUp(link string) *nl.NetlinkRequest { return setFlag(link, unix.IFF_UP, true) }

// SetPromisc returns the request that makes the named link take in every frame, or no longer.
func SetPromisc(link string, on bool) *nl.NetlinkRequest { return setFlag(link, unix.IFF_PROMISC, on) }

// SetAllMulti returns the request that makes the named link take in every frame to a group, or no longer.
func SetAllMulti(link string, on bool) *nl.NetlinkRequest {
	return setFlag(link, unix.IFF_ALLMULTI, on)
}

// SetMTU returns the request that gives the named link an MTU, in bytes.
func SetMTU(link string, mtu int) *nl.NetlinkRequest { return withNumber(link, unix.IFLA_MTU, mtu) }

// SetTxQLen returns the request that says how many packets may wait at the named link.
func SetTxQLen(link string, packets int) *nl.NetlinkRequest {
	return withNumber(link, unix.IFLA_TXQLEN, packets)
}

func withNumber(link string, attribute, number int) *nl.NetlinkRequest {
	r := byName(unix.RTM_SETLINK, link)
	r.AddData(nl.NewRtAttr(attribute, nl.Uint32Attr(uint32(number))))
	return r
}

func setFlag(link string, flag uint32, on bool) *nl.NetlinkRequest {
	r := Request(unix.RTM_SETLINK, 0)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Change = flag
	if on {
		msg.Flags = flag
	}
	r.AddData(msg)
	r.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(link)))
	return r
}

// SetDown returns the request that sets the named link down.
func SetDown(link string) *nl.NetlinkRequest { return setFlag(link, unix.IFF_UP, false) }

// DelLink returns the request that removes a link, and its peer with it. The kernel answers when both are gone, 10 to 25 ms later.
func DelLink(index int) *nl.NetlinkRequest { return byIndex(unix.RTM_DELLINK, index) }

// SetMAC returns the request that gives the named link an Ethernet address.
func SetMAC(link string, mac net.HardwareAddr) *nl.NetlinkRequest {
	r := byName(unix.RTM_SETLINK, link)
	r.AddData(nl.NewRtAttr(unix.IFLA_ADDRESS, mac))
	return r
}

// SetGroup returns the request that puts the link with the index into a group of links (IFLA_GROUP).
func SetGroup(index int, group uint32) *nl.NetlinkRequest {
	r := byIndex(unix.RTM_SETLINK, index)
	r.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(group)))
	return r
}

func byName(kind int, link string) *nl.NetlinkRequest {
	r := Request(kind, 0)
	r.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	r.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(link)))
	return r
}

func byIndex(kind, index int) *nl.NetlinkRequest {
	r := Request(kind, 0)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	r.AddData(msg)
	return r
}

// NewBridge returns the request that makes a bridge, down. mtu 0 and a nil mac are the kernel's choice.
func NewBridge(name string, mac net.HardwareAddr, mtu int, vlanFiltering bool) *nl.NetlinkRequest {
	l := Link{Name: name, Kind: "bridge", MAC: mac, MTU: mtu, NS: -1}
	if vlanFiltering {
		l.Data = []*nl.RtAttr{nl.NewRtAttr(nl.IFLA_BR_VLAN_FILTERING, []byte{1})}
	}
	return NewLink(l)
}

// The kinds of links that are made in pairs. What a netkit takes from its owner it hands to the other end at once, without the queue between them that a veth has.
const (
	VethKind   = "veth"
	NetkitKind = "netkit"
)

// Paired says whether the link is one end of a pair.
func Paired(l netlink.Link) bool { return l.Type() == VethKind || l.Type() == NetkitKind }

// Veth is a pair of links: Name here, a port of the link with index Master, and Peer in another namespace.
type Veth struct {
	Kind         string // NetkitKind; empty: VethKind
	Name, Peer   string
	MAC, PeerMAC net.HardwareAddr // nil: the kernel's choice
	MTU          int              // both ends; 0: the kernel's default, 1500
	Master       int              // 0: no master
	PeerNS       int              // descriptor of the peer's namespace; negative: the same namespace
	Group        uint32           // of this end; 0: the default group
}

// NewVeth returns the request that makes the pair, both ends down. This end is the primary, so that the master can be set in the same
// request.
func NewVeth(v Veth) *nl.NetlinkRequest {
	r := Request(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	r.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	for _, a := range linkAttrs(v.Name, v.MAC, v.MTU) {
		r.AddData(a)
	}
	if v.Master != 0 {
		r.AddData(nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(v.Master))))
	}
	if v.Group != 0 {
		r.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(v.Group)))
	}
	for _, a := range oneQueue() {
		r.AddData(a)
	}
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, []byte(cmp.Or(v.Kind, VethKind)))
	data := info.AddRtAttr(nl.IFLA_INFO_DATA, nil)
	if v.Kind == NetkitKind { // with Ethernet addresses and neighbours, as a veth: its own default is a link without
		data.AddRtAttr(nl.IFLA_NETKIT_MODE, nl.Uint32Attr(uint32(netlink.NETKIT_MODE_L2)))
	}
	peer := data.AddRtAttr(nl.VETH_INFO_PEER, nil) // IFLA_NETKIT_PEER_INFO is the same number
	nl.NewIfInfomsgChild(peer, unix.AF_UNSPEC)
	for _, a := range append(linkAttrs(v.Peer, v.PeerMAC, v.MTU), oneQueue()...) {
		peer.AddChild(a)
	}
	if v.PeerNS >= 0 {
		peer.AddRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(v.PeerNS)))
	}
	r.AddData(info)
	return r
}

// oneQueue asks for what the kernel would come to anyway: it makes room for a queue a processor, and lets an end of a pair use one. To take the
// others back it waits for a grace period at each end, with everybody else's requests waiting for it.
func oneQueue() []*nl.RtAttr {
	return []*nl.RtAttr{
		nl.NewRtAttr(unix.IFLA_NUM_TX_QUEUES, nl.Uint32Attr(1)),
		nl.NewRtAttr(unix.IFLA_NUM_RX_QUEUES, nl.Uint32Attr(1)),
	}
}

func linkAttrs(name string, mac net.HardwareAddr, mtu int) []*nl.RtAttr {
	attrs := []*nl.RtAttr{nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name))}
	if mac != nil {
		attrs = append(attrs, nl.NewRtAttr(unix.IFLA_ADDRESS, mac))
	}
	if mtu != 0 {
		attrs = append(attrs, nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(mtu))))
	}
	return attrs
}

// BridgePort is what the kernel says of a link as the port of a bridge.
type BridgePort struct {
	State             PortState
	Hairpin, Isolated bool
}

// PortState is BR_STATE_* of include/uapi/linux/if_bridge.h.
type PortState uint8

// States of a port. One that listens or learns, as on a bridge with a spanning tree, will forward in a time that the bridge sets.
const (
	Listening  PortState = 1
	Learning   PortState = 2
	Forwarding PortState = 3
)

func (s PortState) String() string {
	names := [...]string{"disabled", "listening", "learning", "forwarding", "blocking"}
	if int(s) < len(names) {
		return names[s]
	}
	return "unknown"
}

// BridgePort reads the port data of one link; nil when it is not the port of a bridge.
func (c *Conn) BridgePort(link string) (*BridgePort, error) {
	bodies, err := c.Read(withoutStatistics(byName(unix.RTM_GETLINK, link)))
	if err != nil {
		return nil, err
	}
	for _, body := range bodies {
		return bridgePort(body), nil
	}
	return nil, nil
}

func bridgePort(body []byte) *BridgePort {
	info := attribute(body[unix.SizeofIfInfomsg:], unix.IFLA_LINKINFO)
	if text(attribute(info, nl.IFLA_INFO_SLAVE_KIND)) != "bridge" {
		return nil
	}
	data := attribute(info, nl.IFLA_INFO_SLAVE_DATA)
	flag := func(kind uint16) bool {
		value := attribute(data, kind)
		return len(value) == 1 && value[0] != 0
	}
	port := &BridgePort{Hairpin: flag(nl.IFLA_BRPORT_MODE), Isolated: flag(nl.IFLA_BRPORT_ISOLATED)}
	if state := attribute(data, nl.IFLA_BRPORT_STATE); len(state) == 1 {
		port.State = PortState(state[0])
	}
	return port
}

// FiltersIPv6 says whether the named link is a bridge whose own option sends its frames through the filters of IPv6.
func (c *Conn) FiltersIPv6(link string) (bool, error) {
	bodies, err := c.Read(withoutStatistics(byName(unix.RTM_GETLINK, link)))
	if err != nil || len(bodies) == 0 {
		return false, err
	}
	info := attribute(bodies[0][unix.SizeofIfInfomsg:], unix.IFLA_LINKINFO)
	if text(attribute(info, nl.IFLA_INFO_KIND)) != "bridge" {
		return false, nil
	}
	own := attribute(attribute(info, nl.IFLA_INFO_DATA), nl.IFLA_BR_NF_CALL_IP6TABLES)
	return len(own) == 1 && own[0] != 0, nil
}

// attribute returns the value of the first attribute of that type (struct rtattr, rtnetlink(7)); nil when there is none.
func attribute(data []byte, kind uint16) []byte {
	for len(data) >= unix.SizeofRtAttr {
		size := int(nl.NativeEndian().Uint16(data))
		if size < unix.SizeofRtAttr || size > len(data) {
			return nil
		}
		if nl.NativeEndian().Uint16(data[2:])&^unix.NLA_F_NESTED == kind {
			return data[unix.SizeofRtAttr:size]
		}
		data = data[min((size+unix.RTA_ALIGNTO-1)&^(unix.RTA_ALIGNTO-1), len(data)):]
	}
	return nil
}

// text reads a string that the kernel ends with a zero; none is empty.
func text(value []byte) string { return strings.TrimRight(string(value), "\x00") }

// SetBridgePort returns the request that sets a port's flags. isolated is only sent when true: kernels before 4.18 refuse it.
func SetBridgePort(index int, hairpin, isolated bool) *nl.NetlinkRequest {
	r := Request(unix.RTM_SETLINK, 0)
	msg := nl.NewIfInfomsg(unix.AF_BRIDGE)
	msg.Index = int32(index)
	r.AddData(msg)
	info := nl.NewRtAttr(unix.IFLA_PROTINFO|unix.NLA_F_NESTED, nil)
	info.AddRtAttr(nl.IFLA_BRPORT_MODE, truth(hairpin))
	if isolated {
		info.AddRtAttr(nl.IFLA_BRPORT_ISOLATED, truth(isolated))
	}
	r.AddData(info)
	return r
}

func truth(b bool) []byte {
	if b {
		return []byte{1}
	}
	return []byte{0}
}

// NewIFB returns the request that makes an intermediate functional block, down: a link that takes in packets to have them queued.
func NewIFB(name string, mac net.HardwareAddr, mtu int) *nl.NetlinkRequest {
	r := NewLink(Link{Name: name, Kind: "ifb", MAC: mac, MTU: mtu, NS: -1})
	r.AddData(nl.NewRtAttr(unix.IFLA_TXQLEN, nl.Uint32Attr(0)))
	return r
}
