package step

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Up is both ends of a pair being up, or the container's link alone. The host end comes last: its carrier is there at once then, and the bridge lets it forward
// without waiting for the kernel's link watch.
type Up struct {
	Host   string // empty: the container's link is no pair's
	IfName string // empty: the container's end stays as it is
}

func (u Up) String() string { return "links up" }

// Inside says that all goes with the link.
func (u Up) Inside() {}

// Apply sets up what is down.
func (u Up) Apply(_ context.Context, s *site.Site) (bool, error) {
	created := false
	for _, end := range u.ends(s) {
		link, err := need(end.side, end.name)
		if err != nil {
			return created, err
		}
		if isUp(link) {
			continue
		}
		err = end.side.Conn.Send(rtnl.SetUp(end.name))
		if errors.Is(err, unix.EADDRINUSE) {
			err = fault.New(fault.Taken, "use another mac, or none", "mac of %s: %s: its parent or another link there has it: %w", end.name, link.Attrs().HardwareAddr, err)
		}
		if err != nil {
			return created, err
		}
		created = true
	}
	return created, nil
}

type end struct {
	side *site.Side
	name string
}

func (u Up) ends(s *site.Site) (ends []end) {
	if u.IfName != "" && s.Container != nil {
		ends = append(ends, end{s.Container, u.IfName})
	}
	if u.Host != "" {
		ends = append(ends, end{s.Host, u.Host})
	}
	return ends
}

// Undo sets down what is there.
func (u Up) Undo(_ context.Context, s *site.Site) error {
	var errs []error
	for _, end := range u.ends(s) {
		link, err := find(end.side, end.name)
		if err == nil && link != nil {
			err = end.side.Conn.Send(rtnl.SetDown(end.name))
		}
		if err != nil && !absentLink(err) {
			errs = append(errs, err)
		}
	}
	return fault.Join(errs...)
}

// Verify looks whether both are up.
func (u Up) Verify(_ context.Context, s *site.Site) error {
	var errs []error
	for _, end := range u.ends(s) {
		link, err := need(end.side, end.name)
		if err == nil && !isUp(link) {
			err = drift("link "+end.name, "up", "down")
		}
		errs = append(errs, err)
	}
	return fault.Join(errs...)
}
