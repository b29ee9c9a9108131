package rtnl

import (
	"errors"
	"unsafe"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Queue reads the queue of one place of a link: netlink.HANDLE_ROOT or HANDLE_INGRESS; nil where there is none. It is asked for alone: a list, the kernel gives
// of all links of the host, and a thousand containers that look at theirs would read a million.
func (c *Conn) Queue(link int, place uint32) (netlink.Qdisc, error) {
	request := Request(unix.RTM_GETQDISC, unix.NLM_F_ECHO) // without, kernels tell those who listen, and not who asked
	request.AddData(&nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(link), Parent: place})
	bodies, err := c.Read(request)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINVAL), err == nil && len(bodies) == 0: // no such place, or the kernel's own in it, of which it tells nothing
		return nil, nil
	case err != nil:
		return nil, err
	case len(bodies[0]) < nl.SizeofTcMsg:
		return nil, errUnanswered
	}
	return queue(bodies[0]), nil
}

// queue reads of a token bucket what it lets pass, and of any other what it is.
func queue(body []byte) netlink.Qdisc {
	m, attrs := nl.DeserializeTcMsg(body), body[nl.SizeofTcMsg:]
	base := netlink.QdiscAttrs{LinkIndex: int(m.Ifindex), Handle: m.Handle, Parent: m.Parent}
	kind := unix.ByteSliceToString(attribute(attrs, nl.TCA_KIND))
	options := attribute(attrs, nl.TCA_OPTIONS)
	parts := attribute(options, nl.TCA_TBF_PARMS)
	if kind != "tbf" || len(parts) < int(unsafe.Sizeof(nl.TcTbfQopt{})) {
		return &netlink.GenericQdisc{QdiscAttrs: base, QdiscType: kind}
	}
	said := nl.DeserializeTcTbfQopt(parts)
	q := &netlink.Tbf{QdiscAttrs: base, Rate: uint64(said.Rate.Rate), Limit: said.Limit, Buffer: said.Buffer}
	if large := attribute(options, nl.TCA_TBF_RATE64); len(large) == 8 {
		q.Rate = nl.NativeEndian().Uint64(large)
	}
	return q
}

// maxActions is TCA_ACT_MAX_PRIO of include/uapi/linux/pkt_cls.h: so many actions a filter has at the most, numbered from 1.
const maxActions = 32

// Redirects lists the links to which the u32 filters of a link's queue lead packets (tc-mirred), by their indices; one that is gone is 0. It reads no more of the
// filters than that, for those who only want to know where a link leads.
func (c *Conn) Redirects(link int, parent uint32) (to []int, err error) {
	request := Request(unix.RTM_GETTFILTER, unix.NLM_F_DUMP)
	request.AddData(&nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(link), Parent: parent})
	bodies, err := c.Read(request)
	for _, body := range bodies {
		if len(body) < nl.SizeofTcMsg || unix.ByteSliceToString(attribute(body[nl.SizeofTcMsg:], nl.TCA_KIND)) != "u32" {
			continue
		}
		actions := attribute(attribute(body[nl.SizeofTcMsg:], nl.TCA_OPTIONS), nl.TCA_U32_ACT)
		for at := uint16(1); at <= maxActions; at++ {
			action := attribute(actions, at)
			said := attribute(attribute(action, nl.TCA_ACT_OPTIONS), nl.TCA_MIRRED_PARMS)
			if unix.ByteSliceToString(attribute(action, nl.TCA_ACT_KIND)) == "mirred" && len(said) >= int(unsafe.Sizeof(nl.TcMirred{})) {
				to = append(to, int(nl.DeserializeTcMirred(said).Ifindex))
			}
		}
	}
	return to, err
}
