//go:build kernels

package guest

import (
	"fmt"
	"os"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
)

// plantVar, set, makes TestPlant hold the planted step as if it were one of ours: make test-kernels KERNEL=6.1 RUN=TestPlant must fail then.
const plantVar = "TRESTLE_PLANT"

// maxLearned is IFLA_BR_FDB_MAX_LEARNED of include/uapi/linux/if_link.h, from Linux 6.7 on. Older kernels take it, and do nothing.
const maxLearned = 49

// TestPlant plants a step that works below `make test` and not on every kernel here: it sets an attribute that 6.1 does not know. What is applied must be
// found by the step's Verify; where the kernel passes over it in silence, that is noticed.
func TestPlant(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
		if err := netlink.LinkAdd(bridge); err != nil {
			t.Fatal(err)
		}
		err := apply(bridge.Index, 7)
		if err == nil {
			err = verify(bridge.Index, 7)
		}
		works := nstest.Since(t, 6, 7) || os.Getenv(plantVar) != ""
		if (err == nil) != works {
			t.Errorf("applied and verified: %v, want success %v", err, works)
		}
	})
}

func apply(index int, limit uint32) error {
	r := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	r.AddData(msg)
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, []byte("bridge"))
	info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(maxLearned, nl.Uint32Attr(limit))
	r.AddData(info)
	_, err := r.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

func verify(index int, limit uint32) error {
	r := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	r.AddData(msg)
	found, err := r.Execute(unix.NETLINK_ROUTE, 0)
	if err != nil {
		return err
	}
	body := found[0][unix.SizeofIfInfomsg:]
	for _, kind := range []uint16{unix.IFLA_LINKINFO, nl.IFLA_INFO_DATA, maxLearned} {
		if body = within(body, kind); body == nil {
			return fmt.Errorf("limit of learned addresses: expected %d, found none", limit)
		}
	}
	if have := nl.NativeEndian().Uint32(body); have != limit {
		return fmt.Errorf("limit of learned addresses: expected %d, found %d", limit, have)
	}
	return nil
}

// within returns the value of the attribute of that kind, nil for none.
func within(body []byte, kind uint16) []byte {
	list, err := nl.ParseRouteAttr(body)
	for _, a := range list {
		if err == nil && a.Attr.Type&^unix.NLA_F_NESTED == kind {
			return a.Value
		}
	}
	return nil
}
