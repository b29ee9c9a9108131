package ruleset

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// readExtension reads a match or target of iptables that stands in a rule of nf_tables: the kernel's structs, in the host's byte order
// (include/uapi/linux/netfilter/xt_*.h). Several tests may come of one match.
func readExtension(t *Table, kind string, a attrs) part {
	name, revision, info := a.text(unix.NFTA_MATCH_NAME), a.number(unix.NFTA_MATCH_REV), a[unix.NFTA_MATCH_INFO]
	is4 := t.Family == "ip"
	if kind == "target" {
		return readTarget(name, revision, info, is4)
	}
	tests, known := readMatch(name, revision, record(info))
	if !known {
		return matchUnknown("-m " + name)
	}
	if len(tests) == 1 {
		return tests[0]
	}
	return parts(tests)
}

// parts are several expressions in one.
type parts []part

func (p parts) run(w *walk) signal {
	for _, each := range p {
		if result := each.run(w); result != goOn {
			return result
		}
	}
	return goOn
}

func (p parts) write(s *scribe) {
	for _, each := range p {
		each.write(s)
	}
}

// record is a struct of the kernel. What lies beyond its end is zero.
type record []byte

func (r record) byte(at int) uint8 { return r.bytes(at, 1)[0] }

func (r record) short(at int) uint16 { return binary.NativeEndian.Uint16(r.bytes(at, 2)) }

func (r record) word(at int) uint32 { return binary.NativeEndian.Uint32(r.bytes(at, 4)) }

func (r record) bytes(at, n int) []byte {
	if at+n > len(r) {
		return make([]byte, n)
	}
	return r[at : at+n]
}

func (r record) ports(at int) ports { return ports{r.short(at), r.short(at + 2)} }

func (r record) name(at int) string {
	name, _, _ := bytes.Cut(r.bytes(at, unix.IFNAMSIZ), []byte{0})
	return string(name)
}

func readMatch(name string, revision uint32, r record) (list []part, known bool) {
	switch name {
	case "comment":
		text, _, _ := bytes.Cut(r, []byte{0})
		return []part{&remark{string(text)}}, true
	case "state":
		return []part{matchState(r.word(0), false)}, true
	case "conntrack":
		return readConntrack(revision, r)
	case "addrtype":
		return readAddrType(revision, r)
	case "tcp":
		return readTCP(r), true
	case "udp":
		return readPorts(unix.IPPROTO_UDP, r.ports(0), r.ports(4), r.byte(8)), true
	case "sctp":
		return readSCTP(r)
	case "multiport":
		return readMultiport(revision, r)
	case "mark":
		return []part{matchMark(r.word(0), r.word(4), r.byte(8) != 0)}, revision == 1
	case "physdev":
		return readPhysdev(r), true
	}
	return nil, false
}

// readConntrack reads xt_conntrack_mtinfo1 to 3.
func readConntrack(revision uint32, r record) (list []part, known bool) {
	const state, status, alias = 1, 1 << 6, 1 << 13
	wanted, inverted := r.short(146), uint32(r.short(148))
	stateMask, statusMask := uint32(r.short(150)), uint32(r.short(152))
	if revision == 1 {
		stateMask, statusMask = uint32(r.byte(150)), uint32(r.byte(151))
	}
	if wanted&state != 0 {
		list = append(list, matchState(stateMask, inverted&state != 0))
	}
	if wanted&status != 0 {
		list = append(list, matchStatus(statusMask, inverted&status != 0))
	}
	if rest := wanted &^ (state | status | alias); rest != 0 {
		list = append(list, matchUnknown(fmt.Sprintf("-m conntrack (flags %#x)", rest)))
	}
	return list, true
}

func readAddrType(revision uint32, r record) (list []part, known bool) {
	const invertSource, invertDest, limitIn, limitOut = 1, 2, 4, 8
	source, dest, options := uint32(r.short(0)), uint32(r.short(2)), r.word(4)
	limit := ""
	switch {
	case revision == 0:
		options = r.word(4)&1 | r.word(8)&1<<1
	case options&limitIn != 0:
		limit = "in"
	case options&limitOut != 0:
		limit = "out"
	}
	if source != 0 {
		list = append(list, matchAddrType(true, source, options&invertSource != 0, limit))
	}
	if dest != 0 {
		list = append(list, matchAddrType(false, dest, options&invertDest != 0, limit))
	}
	return list, true
}

// readPorts makes tests of the two ranges; a bit of the flags inverts each.
func readPorts(protocol uint8, source, dest ports, inverted uint8) (list []part) {
	if !source.all() || inverted&1 != 0 {
		list = append(list, matchPort(protocol, true, source, inverted&1 != 0))
	}
	if !dest.all() || inverted&2 != 0 {
		list = append(list, matchPort(protocol, false, dest, inverted&2 != 0))
	}
	return list
}

func readTCP(r record) []part {
	inverted := r.byte(11)
	list := readPorts(unix.IPPROTO_TCP, r.ports(0), r.ports(4), inverted)
	if mask := r.byte(9); mask != 0 {
		list = append(list, matchFlags(mask, r.byte(10), inverted&4 != 0))
	}
	if r.byte(8) != 0 {
		list = append(list, matchUnknown("-m tcp --tcp-option"))
	}
	return list
}

// readSCTP reads xt_sctp_info, which has the destination first.
func readSCTP(r record) (list []part, known bool) {
	const chunks = 4
	wanted, inverted := r.word(284), r.word(288)
	if wanted&chunks != 0 {
		return nil, false
	}
	source, dest := ports{0, 0xffff}, ports{0, 0xffff}
	if wanted&1 != 0 {
		source = r.ports(4)
	}
	if wanted&2 != 0 {
		dest = r.ports(0)
	}
	return readPorts(unix.IPPROTO_SCTP, source, dest, uint8(inverted)), true
}

func readMultiport(revision uint32, r record) (list []part, known bool) {
	which := []string{"sports", "dports", "ports"}
	if revision != 1 || int(r.byte(0)) >= len(which) {
		return nil, false
	}
	var ranges []ports
	for i, n := 0, min(int(r.byte(1)), 15); i < n; i++ {
		p := ports{r.short(2 + 2*i), r.short(2 + 2*i)}
		if r.byte(32+i) != 0 { // the first of two that make a range
			i++
			p.top = r.short(2 + 2*i)
		}
		ranges = append(ranges, p)
	}
	return []part{matchMultiport(which[r.byte(0)], ranges, r.byte(47) != 0)}, true
}

// readPhysdev reads xt_physdev_info. An option and its inversion are the same bit of two masks.
func readPhysdev(r record) (list []part) {
	inverted, wanted := r.byte(64), r.byte(65)
	if wanted&1 != 0 {
		list = append(list, matchName("-m physdev --physdev-in", r.name(0), inverted&1 != 0, portIn))
	}
	if wanted&2 != 0 {
		list = append(list, matchName("-m physdev --physdev-out", r.name(32), inverted&2 != 0, portOut))
	}
	for i, option := range []string{"--physdev-is-bridged", "--physdev-is-in", "--physdev-is-out"} {
		if bit := uint8(4) << i; wanted&bit != 0 {
			list = append(list, matchBridged(option, inverted&bit != 0))
		}
	}
	return list
}

// readTarget reads what a rule of iptables does.
func readTarget(name string, revision uint32, info []byte, is4 bool) part {
	r := record(info)
	switch name {
	case "MASQUERADE":
		return &masquerade{}
	case "REJECT":
		return &refusal{}
	case "DNAT", "SNAT", "REDIRECT":
		return readTranslation(name, revision, r, is4)
	case "MARK":
		if revision == 2 {
			return &setMark{value: r.word(0), mask: r.word(4)}
		}
	case "CT":
		if r.short(0)&1 != 0 {
			return &untrack{}
		}
		return &effect{"-j CT"}
	case "NOTRACK":
		return &untrack{}
	}
	if slices.Contains(harmless, name) {
		return &effect{"-j " + name}
	}
	return matchUnknown("-j " + name)
}

// harmless are targets that let a packet go on to the next rule and change nothing of its way.
var harmless = []string{"LOG", "NFLOG", "ULOG", "CONNMARK", "CONNSECMARK", "SECMARK", "CHECKSUM", "CLASSIFY", "TCPMSS", "TOS", "DSCP", "TTL", "HL",
	"TRACE", "AUDIT", "SET", "IDLETIMER"}

// Flags of nf_nat_range, include/uapi/linux/netfilter/nf_nat.h.
const (
	mapAddresses = 1
	mapPorts     = 2
)

// readTranslation reads nf_nat_range, and for IPv4 in some revisions the older struct.
func readTranslation(name string, revision uint32, r record, is4 bool) part {
	d := &destination{source: name == "SNAT", self: name == "REDIRECT"}
	options, addr, port := r.word(0), r.bytes(4, 16), r.bytes(36, 2)
	if is4 && revision == 0 {
		options, addr, port = r.word(4), r.bytes(8, 4), r.bytes(16, 2)
	} else if is4 {
		addr = addr[:4]
	}
	if options&mapAddresses != 0 {
		a, _ := netip.AddrFromSlice(addr)
		d.addr = a
	}
	if options&mapPorts != 0 {
		d.port = binary.BigEndian.Uint16(port)
	}
	return d
}
