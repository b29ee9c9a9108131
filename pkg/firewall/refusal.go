package firewall

import (
	"fmt"
	"net/netip"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// HeldBy refuses what somebody has who is not known to be dead.
func HeldBy(what, who string) error {
	return fault.New(fault.Taken, "delete that attachment, or ask for something else", "%s: held by %s", what, who)
}

// LeadsElsewhere says of a port that another entry of the owner's list publishes it to somewhere else.
func LeadsElsewhere(port string, there, wanted netip.AddrPort) string {
	return fmt.Sprintf("%s: leads to %s by an earlier ADD of the same attachment, and not to %s", port, there, wanted)
}
