package rtnl

import (
	"encoding/binary"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Proto marks the addresses that the suite puts on interfaces of the host, as the address protocol (IFA_PROTO, Linux 5.18). Kernels
// before that keep no mark.
const Proto = 't'

// ifaProto is IFA_PROTO of include/uapi/linux/if_addr.h, which golang.org/x/sys lacks.
const ifaProto = 11

// protoAdvertised is IFAPROT_KERNEL_RA of the same file.
const protoAdvertised = 2

// Addr is one address of a link.
type Addr struct {
	netip.Prefix        // host bits kept
	Flags        uint32 // IFA_F_*
	Proto        uint8  // IFA_PROTO; 0 when the kernel keeps none
	Scope        uint8  // RT_SCOPE_*
}

// NewAddr returns the request that adds an address, with flags IFA_F_* (IFA_F_NODAD only for IPv6: usable at once, with no duplicate address
// detection, RFC 4862). An IPv4 prefix shorter than 31 bits gets its broadcast address. A loopback address is of scope host, as the kernel's own.
func NewAddr(index int, p netip.Prefix, flags uint32, proto uint8) *nl.NetlinkRequest {
	r := addrRequest(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, index, p)
	if p.Addr().Is4() && p.Bits() < 31 && !p.Addr().IsLoopback() {
		r.AddData(nl.NewRtAttr(unix.IFA_BROADCAST, broadcast(p).AsSlice()))
	}
	if p.Addr().Is4() {
		flags &^= unix.IFA_F_NODAD
	}
	if flags != 0 {
		r.AddData(nl.NewRtAttr(unix.IFA_FLAGS, nl.Uint32Attr(flags)))
	}
	if proto != 0 {
		r.AddData(nl.NewRtAttr(ifaProto, []byte{proto}))
	}
	return r
}

// DelAddr returns the request that removes an address.
func DelAddr(index int, p netip.Prefix) *nl.NetlinkRequest {
	return addrRequest(unix.RTM_DELADDR, 0, index, p)
}

func addrRequest(kind, flags, index int, p netip.Prefix) *nl.NetlinkRequest {
	r := Request(kind, flags)
	msg := nl.NewIfAddrmsg(family(p.Addr()))
	msg.Index, msg.Prefixlen = uint32(index), uint8(p.Bits())
	if p.Addr().IsLoopback() {
		msg.Scope = unix.RT_SCOPE_HOST
	}
	r.AddData(msg)
	r.AddData(nl.NewRtAttr(unix.IFA_LOCAL, p.Addr().AsSlice()))
	r.AddData(nl.NewRtAttr(unix.IFA_ADDRESS, p.Addr().AsSlice()))
	return r
}

func broadcast(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b)
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// readAddrs reads the addresses of one link, both families; 0: of all. The kernel filters the dump, so other links cost nothing.
func (c *Conn) readAddrs(index int) ([][]byte, error) {
	r := Request(unix.RTM_GETADDR, unix.NLM_F_DUMP)
	msg := nl.NewIfAddrmsg(unix.AF_UNSPEC)
	msg.Index = uint32(index)
	r.AddData(msg)
	return c.Read(r)
}

// Addrs reads the addresses of one link.
func (c *Conn) Addrs(index int) ([]Addr, error) {
	bodies, err := c.readAddrs(index)
	if err != nil {
		return nil, err
	}
	var addrs []Addr
	for _, body := range bodies {
		if a, of, ok := parseAddr(body); ok && of == index {
			addrs = append(addrs, a)
		}
	}
	return addrs, nil
}

// Given is an address that somebody gave a link, with all that it has.
type Given struct {
	What Addr
	Told []byte // by the kernel: struct ifaddrmsg and what follows it (rtnetlink(7))
}

// Given reads those of a link, in the order in which they were given, which the kernel turns round for IPv6. What follows from the link itself, or from what routers
// advertise, nobody gave.
func (c *Conn) Given(index int) (list []Given, err error) {
	bodies, err := c.readAddrs(index)
	var six []Given
	for _, body := range bodies {
		a, of, ok := parseAddr(body)
		own := a.Addr().Is6() && (a.Addr().IsLinkLocalUnicast() || a.Proto == protoAdvertised || a.Flags&unix.IFA_F_TEMPORARY != 0)
		if !ok || of != index || own {
			continue
		}
		if a.Addr().Is4() {
			list = append(list, Given{a, body})
		} else {
			six = append([]Given{{a, body}}, six...)
		}
	}
	return append(list, six...), err
}

// Again returns the request to give a link an address of which the kernel has told that.
func Again(told []byte, index int) *nl.NetlinkRequest {
	body := make([]byte, max(len(told), unix.SizeofIfAddrmsg))
	copy(body, told)
	binary.NativeEndian.PutUint32(body[4:], uint32(index))
	r := Request(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	r.AddRawData(body)
	return r
}

// Since is when the link got the first of its addresses that are no link's own, in hundredths of a second of the boot's clock; 0 where it has none.
func (c *Conn) Since(index int) (since uint32, err error) {
	bodies, err := c.readAddrs(index)
	for _, body := range bodies {
		msg := nl.DeserializeIfAddrmsg(body)
		attrs, err := nl.ParseRouteAttr(body[msg.Len():])
		if err != nil || int(msg.Index) != index || msg.Scope != unix.RT_SCOPE_UNIVERSE {
			continue
		}
		for _, attr := range attrs {
			if attr.Attr.Type == unix.IFA_CACHEINFO && len(attr.Value) >= 16 { // ifa_cacheinfo: preferred, valid, created, changed
				if created := nl.NativeEndian().Uint32(attr.Value[8:]); since == 0 || created < since {
					since = created
				}
			}
		}
	}
	return since, err
}

// AllAddrs reads the addresses of all links, by the links' indexes.
func (c *Conn) AllAddrs() (map[int][]Addr, error) {
	bodies, err := c.readAddrs(0)
	addrs := make(map[int][]Addr)
	for _, body := range bodies {
		if a, of, ok := parseAddr(body); ok {
			addrs[of] = append(addrs[of], a)
		}
	}
	return addrs, err
}

// parseAddr returns an address and the index of its link.
func parseAddr(body []byte) (a Addr, index int, ok bool) {
	msg := nl.DeserializeIfAddrmsg(body)
	attrs, err := nl.ParseRouteAttr(body[msg.Len():])
	if err != nil {
		return Addr{}, 0, false
	}
	var address, local []byte
	a.Flags, a.Scope = uint32(msg.Flags), msg.Scope
	for _, attr := range attrs {
		switch attr.Attr.Type {
		case unix.IFA_ADDRESS:
			address = attr.Value
		case unix.IFA_LOCAL:
			local = attr.Value
		case unix.IFA_FLAGS:
			a.Flags = nl.NativeEndian().Uint32(attr.Value)
		case ifaProto:
			a.Proto = attr.Value[0]
		}
	}
	if local == nil { // IPv6 has IFA_LOCAL on point-to-point links only
		local = address
	}
	ip, ok := netip.AddrFromSlice(local)
	a.Prefix = netip.PrefixFrom(ip, int(msg.Prefixlen))
	return a, int(msg.Index), ok
}

// Groups reads the IPv6 multicast groups that a link listens to.
func (c *Conn) Groups(index int) ([]netip.Addr, error) {
	r := Request(unix.RTM_GETMULTICAST, unix.NLM_F_DUMP)
	msg := nl.NewIfAddrmsg(unix.AF_INET6)
	msg.Index = uint32(index)
	r.AddData(msg)
	bodies, err := c.Read(r)
	var groups []netip.Addr
	for _, body := range bodies {
		group, ok := netip.AddrFromSlice(attribute(body[msg.Len():], unix.IFA_MULTICAST))
		if ok && int(nl.DeserializeIfAddrmsg(body).Index) == index {
			groups = append(groups, group)
		}
	}
	return groups, err
}
