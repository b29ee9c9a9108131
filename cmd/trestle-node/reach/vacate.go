package reach

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
)

// Vacate takes a block's gateway from the link that has it: as long as containers of other blocks are on the bridge it stays there, and with it the kernel's own route,
// which would keep the block's next owner from this host.
func Vacate(block netip.Prefix) error {
	gateway := netip.PrefixFrom(block.Addr().Next(), block.Bits())
	is := func(a rtnl.Addr) bool { return a.Prefix == gateway }
	return eachLink(is, func(k *rtnl.Conn, index int) error {
		if err := k.Send(rtnl.DelAddr(index, gateway)); err != nil {
			return fmt.Errorf("address %s: remove: %w", gateway, err)
		}
		return nil
	})
}

// eachLink runs do with each link of this host that has such an address, until one fails.
func eachLink(has func(rtnl.Addr) bool, do func(k *rtnl.Conn, index int) error) error {
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
		if !slices.ContainsFunc(addrs, has) {
			continue
		}
		if err := do(k, index); err != nil {
			return err
		}
	}
	return nil
}
