package step

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Shape is how fast one direction of a container's traffic may be. Towards the container it is the queue of the host's end of its pair (Shaped); from the
// container that of a link of its own, to which all that comes in by the host's end is led (Mirrored).
type Shape struct {
	Owner  owner.Owner
	IfName string
	Hosts  []string // the result's links on the host: one of them is the other end
	Rate   uint64   // bits a second; 0: as fast as it goes
	Burst  uint64   // bits

	Latency int // milliseconds that a packet may wait before it is dropped; 0: latency

	Inside bool // it is done at the interface itself, which need be no end of a pair: the two directions change places

	Unshaped []netip.Prefix // what comes from or goes to these goes as fast as it can
	Only     []netip.Prefix // nothing else is slowed down
}

// latency is how long a packet may wait where nobody said so: the reference's, in milliseconds.
const latency = 25

// The numbers that the reference's queues have, and the class of ours in which some is not shaped.
const (
	rootHandle  = 1 << 16
	classHandle = rootHandle | 1
	leafHandle  = 2 << 16
)

// tbf is the queue that the reference makes.
func (s Shape) tbf(link int) *netlink.Tbf {
	const second = 1000000 // microseconds
	rate, burst := s.Rate/8, uint32(s.Burst/8)
	wait := uint32(float64(burst) * second / float64(rate))
	return &netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: link, Handle: rootHandle, Parent: netlink.HANDLE_ROOT},
		Limit:      uint32(min(uint64(float64(rate)*float64(cmp.Or(s.Latency, latency))/1000)+uint64(burst), math.MaxUint32)),
		Rate:       rate,
		Buffer:     uint32(float64(wait) * netlink.TickInUsec()),
	}
}

// queue makes the link's root queue so, and says whether it was not. What somebody else made there stays.
func (s Shape) queue(at *site.Site, link netlink.Link) (bool, error) {
	h, err := s.on(at).Handle()
	if err != nil {
		return false, err
	}
	root, err := s.on(at).Conn.Queue(link.Attrs().Index, netlink.HANDLE_ROOT)
	if err != nil || s.same(root, link) == nil {
		return false, err
	}
	if root != nil && root.Attrs().Handle != 0 && root.Attrs().Handle != rootHandle {
		return false, fault.New(fault.Taken, "remove that queue: tc qdisc del dev "+link.Attrs().Name+" root", "link %s: has a queue of somebody else's, %s %x:", link.Attrs().Name, root.Type(), root.Attrs().Handle>>16)
	}
	kind := s.kind()
	if root != nil && root.Attrs().Handle == rootHandle && root.Type() != kind { // the kernel makes none of another
		if err := h.QdiscDel(root); err != nil {
			return false, fmt.Errorf("remove queue: %w", err)
		}
	}
	if kind == "htb" {
		return true, s.classes(h, link)
	}
	if err := h.QdiscReplace(s.tbf(link.Attrs().Index)); err != nil {
		if errors.Is(err, unix.EINVAL) {
			return true, fault.New(fault.Config, "give it a greater burst: one packet at least, 12112 bits with the usual MTU", "tbf of %d bits a second with a burst of %d: %w", s.Rate, s.Burst, err)
		}
		return true, unsupported("tbf", err)
	}
	return true, s.fair(h, link, rootHandle|1)
}

// fair puts a queue inside that lets nobody wait for somebody else's packets, where the kernel has one. It is there already where somebody changed the rate alone.
func (s Shape) fair(h *netlink.Handle, link netlink.Link, parent uint32) error {
	leaf := &netlink.GenericQdisc{QdiscType: "fq_codel", QdiscAttrs: netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: leafHandle, Parent: parent}}
	if err := h.QdiscReplace(leaf); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("fq_codel: %w", err)
	}
	return nil
}

// classes is a queue of which some goes past: a class for what is shaped, by default or not.
func (s Shape) classes(h *netlink.Handle, link netlink.Link) error {
	index := link.Attrs().Index
	root := netlink.NewHtb(netlink.QdiscAttrs{LinkIndex: index, Handle: rootHandle, Parent: netlink.HANDLE_ROOT})
	if len(s.Only) == 0 {
		root.Defcls = classHandle & 0xffff
	}
	if err := h.QdiscReplace(root); err != nil {
		return unsupported("htb", err)
	}
	if err := h.ClassReplace(s.class(index)); err != nil {
		return fmt.Errorf("htb: class: %w", err)
	}
	for _, f := range s.apart(index, rootHandle, s.theirs(source, destination), 1) {
		f.ClassId = rootHandle
		if len(s.Only) > 0 {
			f.ClassId = classHandle
		}
		if err := h.FilterAdd(f); err != nil {
			return unsupported("u32", err)
		}
	}
	return s.fair(h, link, classHandle)
}

func (s Shape) class(link int) *netlink.HtbClass {
	return netlink.NewHtbClass(netlink.ClassAttrs{LinkIndex: link, Parent: rootHandle, Handle: classHandle},
		netlink.HtbClassAttrs{Rate: s.Rate, Buffer: uint32(s.Burst / 8), Cbuffer: 1600, Quantum: 1600})
}

// apart are filters that find what is treated apart, each with the priority of its family from first on. What to do with it is for the caller to say.
func (s Shape) apart(link int, parent uint32, which far, first uint16) (list []*netlink.U32) {
	for _, p := range slices.Concat(s.Unshaped, s.Only) {
		f := &netlink.U32{FilterAttrs: netlink.FilterAttrs{LinkIndex: link, Parent: parent, Priority: first, Protocol: unix.ETH_P_IP},
			Sel: &netlink.TcU32Sel{Flags: nl.TC_U32_TERMINAL}}
		at, words := which.v4, p.Addr().AsSlice()
		if p.Addr().Is6() {
			f.Priority, f.Protocol, at = first+1, unix.ETH_P_IPV6, which.v6
		}
		for i, bits := 0, p.Bits(); i == 0 || bits > 0; i, bits = i+1, bits-32 {
			mask := uint32(0xffffffff << (32 - min(max(bits, 0), 32)))
			value := uint32(words[4*i])<<24 | uint32(words[4*i+1])<<16 | uint32(words[4*i+2])<<8 | uint32(words[4*i+3])
			f.Sel.Keys = append(f.Sel.Keys, netlink.TcU32Key{Mask: mask, Val: value & mask, Off: at + int32(4*i)})
		}
		list = append(list, f)
	}
	return list
}

// unsupported names what a kernel lacks.
func unsupported(what string, err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
		return fault.New(fault.Unsupported, "load the kernel's module, or build it", "the kernel has no %s: %w", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// verify compares the link's queue with what was made.
func (s Shape) verify(at *site.Site, link netlink.Link) error {
	root, err := s.on(at).Conn.Queue(link.Attrs().Index, netlink.HANDLE_ROOT)
	if err != nil {
		return err
	}
	if err := s.same(root, link); err != nil || root.Type() != "htb" {
		return err
	}
	h, err := s.on(at).Handle()
	if err != nil {
		return err
	}
	list, err := h.ClassList(link, rootHandle)
	if err != nil {
		return err
	}
	for _, c := range list {
		if class, is := c.(*netlink.HtbClass); is && class.Handle == classHandle && class.Rate == s.Rate/8 {
			return nil
		}
	}
	return drift("rate of "+link.Attrs().Name, s.Rate, "another")
}

// kind is that of the root queue.
func (s Shape) kind() string {
	if len(s.Unshaped)+len(s.Only) > 0 {
		return "htb"
	}
	return "tbf"
}

// same says what differs of a root queue.
func (s Shape) same(root netlink.Qdisc, link netlink.Link) error {
	want, kind := s.tbf(link.Attrs().Index), s.kind()
	switch q := root.(type) {
	case nil:
		return drift("queue of "+link.Attrs().Name, kind, "none")
	case *netlink.Tbf:
		if kind == "tbf" && q.Handle == rootHandle {
			if q.Rate == want.Rate && q.Limit == want.Limit && q.Buffer == want.Buffer {
				return nil
			}
			return drift("queue of "+link.Attrs().Name, told(want), told(q))
		}
	case *netlink.GenericQdisc:
		if kind == "htb" && q.QdiscType == kind && q.Handle == rootHandle {
			return nil
		}
	}
	return drift("queue of "+link.Attrs().Name, kind, root.Type())
}

func told(q *netlink.Tbf) string {
	return fmt.Sprintf("%d bytes/s, limit %d, buffer %d", q.Rate, q.Limit, q.Buffer)
}

// unqueue removes a root queue of ours.
func (s Shape) unqueue(at *site.Site, link netlink.Link) error {
	root, err := s.on(at).Conn.Queue(link.Attrs().Index, netlink.HANDLE_ROOT)
	if err != nil || root == nil || root.Attrs().Handle != rootHandle || root.Type() != "tbf" && root.Type() != "htb" {
		return err
	}
	h, err := s.on(at).Handle()
	if err != nil {
		return err
	}
	if err := h.QdiscDel(root); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove queue: %w", err)
	}
	return nil
}
