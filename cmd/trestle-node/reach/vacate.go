package reach

import (
	"fmt"
	"net/netip"

	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
)

// Vacate takes a block's gateway from the link that has it: as long as containers of other blocks are on the bridge it stays there, and with it the kernel's own route,
// which would keep the block's next owner from this host.
func Vacate(block netip.Prefix) error {
	gateway := netip.PrefixFrom(block.Addr().Next(), block.Bits())
	k, err := rtnl.Open()
	if err != nil {
		return err
	}
	defer k.Close()
	all, err := k.AllAddrs()
	if err != nil {
		return fmt.Errorf("addresses: %w", err)
	}
	for index, addrs := range all {
		for _, a := range addrs {
			if a.Prefix != gateway {
				continue
			}
			if err := k.Send(rtnl.DelAddr(index, gateway)); err != nil {
				return fmt.Errorf("address %s: remove: %w", gateway, err)
			}
		}
	}
	return nil
}
