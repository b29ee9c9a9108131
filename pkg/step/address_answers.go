package step

import "github.com/trestle-cni/trestle/pkg/site"

// answersForItself has the container's interface answer ARP for its own addresses alone (arp_ignore, Documentation/networking/ip-sysctl.rst), best before it
// sends by a table of its own. Else each interface on a wire answers for the addresses of all, what is sent to one comes in by another, and who learned that sends
// into nowhere, for a minute or more, when the other goes. IPv6 is so by itself. What somebody has set is left, and CHECK does not ask for it: the
// reference's attachments have it not.
func answersForItself(s *site.Site, container *site.Side, ifName string) {
	if value, _, err := container.Sysctl(arpIgnore(ifName)); err == nil && value == "0" {
		prefer(s, container, arpIgnore(ifName), "1")
	}
}

// answersAsOthers gives it what a new interface has.
func answersAsOthers(s *site.Site, container *site.Side, ifName string) {
	value, _, err := container.Sysctl(arpIgnore(ifName))
	usual, _, err2 := container.Sysctl(arpIgnore("default"))
	if err == nil && err2 == nil && value == "1" && usual != value {
		prefer(s, container, arpIgnore(ifName), usual)
	}
}

func arpIgnore(ifName string) string { return "net/ipv4/conf/" + ifName + "/arp_ignore" }
