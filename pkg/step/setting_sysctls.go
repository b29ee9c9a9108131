package step

import (
	"context"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Sysctls are settings of a container's interface that were asked for, made before it is up: some have no effect later. They go with it.
type Sysctls struct {
	IfName  string
	Sysctls []Sysctl
}

func (t Sysctls) String() string { return "settings of " + t.IfName }

// Inside says that all goes with the link.
func (t Sysctls) Inside() {}

// Apply writes those that are not so, in their order.
func (t Sysctls) Apply(_ context.Context, s *site.Site) (bool, error) {
	container, err := inside(s)
	if err != nil {
		return false, err
	}
	for _, want := range t.Sysctls {
		is, mute, err := reads(container, want.Key)
		if err == nil && (mute || !sameValue(is, want.Value)) {
			err = container.WriteSysctl(want.Key, want.Value)
		}
		if err != nil {
			return false, fault.New(fault.Config, "write a setting and a value that the kernel takes; is /proc/sys writable for this program?", "sysctl %s: %q: %w",
				want.Name, want.Value, err)
		}
	}
	return false, nil
}

// Undo leaves them to the link.
func (t Sysctls) Undo(context.Context, *site.Site) error { return nil }

// Verify compares values as values.
func (t Sysctls) Verify(_ context.Context, s *site.Site) error {
	container, err := inside(s)
	if err != nil {
		return err
	}
	var errs []error
	for _, want := range t.Sysctls {
		errs = append(errs, want.verify(container, func(string) bool { return false }))
	}
	return fault.Join(errs...)
}
