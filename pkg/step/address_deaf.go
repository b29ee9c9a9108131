package step

import (
	"context"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Deaf is a container's interface that takes no router advertisements, whatever addresses it has. It comes before the interface is up.
type Deaf struct{ IfName string }

func (d Deaf) String() string { return "no router advertisements on " + d.IfName }

// Inside says that all goes with the link.
func (d Deaf) Inside() {}

// Apply refuses them, and addresses made of them.
func (d Deaf) Apply(_ context.Context, s *site.Site) (bool, error) {
	container, err := inside(s)
	if err != nil {
		return false, err
	}
	return false, fault.Join(setIfThere(container, acceptRA(d.IfName), "0"), setIfThere(container, "net/ipv6/conf/"+d.IfName+"/autoconf", "0"))
}

// Undo leaves the settings to the link.
func (d Deaf) Undo(context.Context, *site.Site) error { return nil }

// Verify looks at nothing: the plugin tuning may come later in a chain, and set it on purpose.
func (d Deaf) Verify(context.Context, *site.Site) error { return nil }
