package step

import (
	"bytes"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/kernel/procfile"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// addressSet is NET_ADDR_SET of include/linux/netdevice.h: somebody has given the link its address.
const addressSet = "3"

// pinned says whether the bridge keeps its Ethernet address whatever ports come and go. The kernel takes that of a port for one that nobody has set.
func (b Bridge) pinned(link netlink.Link) (pinned, known bool) {
	if !b.Gateway || link.Attrs().Alias == bridgeAlias { // ours got it when it was made
		return true, true
	}
	a := link.Attrs()
	how, err := procfile.OfLink(b.Name, a.Index, a.HardwareAddr.String(), "addr_assign_type")
	return how == addressSet, err == nil
}

// pin sets the address that the bridge has, which neighbours may know already; one without any gets one. So it stays when the last container goes.
func (b Bridge) pin(host *site.Side, link netlink.Link) error {
	if pinned, known := b.pinned(link); pinned && known {
		return nil
	}
	mac := link.Attrs().HardwareAddr
	if bytes.Equal(mac, make(net.HardwareAddr, len(mac))) {
		mac = b.MAC
	}
	if err := host.Conn.Send(rtnl.SetMAC(b.Name, mac)); err != nil {
		return fmt.Errorf("set the address %s: %w", mac, err)
	}
	return nil
}

// verifyPinned looks whether the address is there to stay. Where that is not to be known, it is not missed.
func (b Bridge) verifyPinned(link netlink.Link) error {
	if pinned, known := b.pinned(link); known && !pinned {
		return drift("mac of "+b.Name, "set, so that it stays", "that of a port")
	}
	return nil
}
