package doctor

import (
	"fmt"
	"slices"
	"time"

	"github.com/trestle-cni/trestle/pkg/dhcp/call"
	"github.com/trestle-cni/trestle/pkg/dhcp/lease"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
)

// Lease is a lease of a DHCP server's, as a daemon has written it down.
type Lease struct {
	lease.Record
	Absent error // why nobody renews it; nil: a daemon is there
}

func leaseChecks() []Check {
	return []Check{
		{"lease-not-renewed", Error, "with the end of its lease the address is somebody else's, and the interface goes down", (*Picture).leasesEnd, nil},
	}
}

func (p *Picture) leasesEnd() (found []Finding) {
	for _, a := range p.living() {
		for _, l := range p.Leases {
			if what, remedy := l.wrong(); what != "" && l.of(a) {
				found = append(found, Finding{Object: name(a), What: fmt.Sprintf("lease of %s: %s", l.Addr.Addr(), what), Remedy: remedy,
					cause: what, about: []*observe.Attachment{a}})
			}
		}
	}
	return found
}

func (l Lease) of(a *observe.Attachment) bool {
	return slices.Equal([]string{l.Network, l.ContainerID, l.IfName}, []string{a.Network, a.ContainerID, a.IfName})
}

// wrong says what is wrong with the lease, and what to do; empty for nothing.
func (l Lease) wrong() (what, remedy string) {
	ends, does := l.Ends()
	now := lease.Now()
	switch {
	case l.Over != "":
		return l.Over, "delete the container and add it again"
	case l.Absent != nil:
		return l.Absent.Error(), call.Start
	case does && now > l.Began+l.Rebind:
		return fmt.Sprintf("no server renews it, and it ends in %v", (ends - now).Round(time.Second)), "see whether a DHCP server answers on that network"
	}
	return "", ""
}
