package rtnl

import (
	"fmt"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
)

// One queue is read alone, however many links the host has: what is read of it is counted. What nobody made is none.
func TestQueue(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		for i := range 50 {
			must(t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprint("br", i), TxQLen: 1000}}))
			link, err := netlink.LinkByName(fmt.Sprint("br", i))
			must(t, err)
			at := netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT}
			must(t, netlink.QdiscAdd(&netlink.Tbf{QdiscAttrs: at, Rate: 10_000_000_000 + uint64(i), Limit: 4000, Buffer: 3000}))
		}
		conn, err := Open()
		must(t, err)
		defer conn.Close()
		one, err := netlink.LinkByName("br7")
		must(t, err)
		index, read := one.Attrs().Index, 0
		conn.Bound(func(bytes int) error { read += bytes; return nil })
		queue, err := conn.Queue(index, netlink.HANDLE_ROOT)
		must(t, err)
		if q, is := queue.(*netlink.Tbf); !is || q.Rate != 10_000_000_007 || q.Limit != 4000 || q.Handle != netlink.MakeHandle(1, 0) || read > 1000 {
			t.Errorf("%+v, by %d bytes, want the token bucket of br7 alone", queue, read)
		}
		for _, kind := range []netlink.Qdisc{nil, &netlink.Ingress{}, &netlink.Clsact{}} {
			want := "none"
			if kind != nil {
				*kind.Attrs() = netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_INGRESS}
				want = kind.Type()
				must(t, netlink.QdiscAdd(kind))
			}
			queue, err := conn.Queue(index, netlink.HANDLE_INGRESS)
			must(t, err)
			if got := kindOf(queue); got != want {
				t.Errorf("at the entrance: %s, want %s", got, want)
			}
			if kind != nil {
				must(t, netlink.QdiscDel(kind))
			}
		}
		lo, err := netlink.LinkByName("lo")
		must(t, err)
		if queue, err := conn.Queue(lo.Attrs().Index, netlink.HANDLE_ROOT); err != nil || queue != nil && queue.Attrs().Handle != 0 {
			t.Errorf("of lo: %+v, %v, want what the kernel made, or nothing", queue, err)
		}
		if _, err := conn.Queue(9999, netlink.HANDLE_ROOT); err == nil {
			t.Error("of a link that is not there: no error")
		}
	})
}

func kindOf(q netlink.Qdisc) string {
	if q == nil {
		return "none"
	}
	return q.Type()
}

// Where a link's filters lead is read of those that redirect alone: also of the second action of one, and of a link that is gone.
func TestRedirects(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		var index []int
		for _, name := range []string{"from", "to", "gone"} {
			must(t, netlink.LinkAdd(&netlink.Ifb{LinkAttrs: netlink.LinkAttrs{Name: name, TxQLen: 1000}}))
			link, err := netlink.LinkByName(name)
			must(t, err)
			index = append(index, link.Attrs().Index)
		}
		entrance := &netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index[0], Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_INGRESS}}
		must(t, netlink.QdiscAdd(entrance))
		copied := &netlink.MirredAction{ActionAttrs: netlink.ActionAttrs{Action: netlink.TC_ACT_PIPE}, MirredAction: netlink.TCA_EGRESS_MIRROR, Ifindex: index[1]}
		led := &netlink.MirredAction{ActionAttrs: netlink.ActionAttrs{Action: netlink.TC_ACT_STOLEN}, MirredAction: netlink.TCA_EGRESS_REDIR, Ifindex: index[2]}
		for i, actions := range [][]netlink.Action{{copied, led}, nil} {
			at := netlink.FilterAttrs{LinkIndex: index[0], Parent: entrance.Handle, Priority: uint16(i + 1), Protocol: unix.ETH_P_ALL}
			must(t, netlink.FilterAdd(&netlink.U32{FilterAttrs: at, Actions: actions}))
		}
		gone, err := netlink.LinkByName("gone")
		must(t, err)
		must(t, netlink.LinkDel(gone))
		conn, err := Open()
		must(t, err)
		defer conn.Close()
		for _, c := range []struct {
			link   int
			parent uint32
			want   []int
		}{{index[0], entrance.Handle, []int{index[1], 0}}, {index[1], entrance.Handle, nil}, {9999, entrance.Handle, nil}} {
			if got, err := conn.Redirects(c.link, c.parent); err != nil || !slices.Equal(got, c.want) {
				t.Errorf("link %d, parent %x: %v, %v, want %v", c.link, c.parent, got, err, c.want)
			}
		}
	})
}
