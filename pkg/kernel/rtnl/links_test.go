package rtnl

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/test/nstest"
)

// What comes with the links is what the files below /proc/sys say, whatever they are set to.
func TestSettingsOfLinks(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "a"}, PeerName: "b"}))
		for key, value := range map[string]string{"ipv4/conf/a/rp_filter": "2", "ipv4/conf/a/route_localnet": "1", "ipv6/conf/a/accept_ra": "2",
			"ipv6/conf/b/disable_ipv6": "1"} {
			must(t, os.WriteFile("/proc/sys/net/"+key, []byte(value), 0o644))
		}
		conn, err := Open()
		must(t, err)
		defer conn.Close()
		links, err := conn.Links()
		must(t, err)
		if len(links) != 3 {
			t.Fatalf("%d links, want lo, a and b", len(links))
		}
		for _, l := range links {
			settings := l.Settings()
			if len(settings) != 4 {
				t.Errorf("%s: settings %v, want four", l.Attrs().Name, settings)
			}
			for key, value := range settings {
				family, name, _ := strings.Cut(key, "/")
				text, err := os.ReadFile("/proc/sys/net/" + family + "/conf/" + l.Attrs().Name + "/" + name)
				must(t, err)
				if got := strconv.Itoa(value); got != strings.TrimSpace(string(text)) {
					t.Errorf("%s of %s: %s, and the file says %s", key, l.Attrs().Name, got, text)
				}
			}
		}
	})
}
