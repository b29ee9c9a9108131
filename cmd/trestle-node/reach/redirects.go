package reach

import (
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
)

// NoRedirects has this host tell nobody of a shorter way (ICMP redirect, RFC 792). Containers of several blocks are on one link, so it would tell each that the other is beside
// it, and a container believes that for five minutes, in which the other's block may come to be another host's. The kernel tells where the link's setting or that of all links
// says so; a link that is made later begins with the default.
func NoRedirects(cidrs []netip.Prefix) error {
	for _, of := range []string{"all", "default"} {
		path := "/proc/sys/net/ipv4/conf/" + of + "/send_redirects"
		text, err := os.ReadFile(path)
		if err == nil && strings.TrimSpace(string(text)) != "0" {
			err = os.WriteFile(path, []byte("0\n"), 0o644)
		}
		if err != nil {
			return fault.New(fault.IO, "or containers may miss for five minutes who is on another host by now: sysctl -w net.ipv4.conf.all.send_redirects=0", "redirects: %w", err)
		}
	}
	of := func(a rtnl.Addr) bool { return pool.Within(a.Masked(), cidrs) }
	return eachLink(of, func(k *rtnl.Conn, index int) error {
		link, err := k.LinkByIndex(index)
		if err == nil {
			err = k.Send(rtnl.SetIPv4Conf(link.Attrs().Name, rtnl.SendRedirects, 0))
		}
		if err != nil {
			return fmt.Errorf("link %d: send_redirects: %w", index, err)
		}
		return nil
	})
}
