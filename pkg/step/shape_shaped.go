package step

import (
	"context"
	"errors"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Shaped is the queue by which what goes to the container is slowed down.
type Shaped struct{ Shape }

func (s Shaped) String() string {
	if s.Inside {
		return "rate from " + s.IfName
	}
	return "rate to " + s.IfName
}

// Mendable says that a queue that somebody removed is made again by Apply.
func (s Shaped) Mendable() {}

// Guard refuses a host's end that has such a queue: it was added before.
func (s Shaped) Guard(_ context.Context, at *site.Site) error {
	if s.Rate == 0 {
		return nil
	}
	link, err := s.end(at)
	if err != nil {
		return err
	}
	root, err := s.on(at).Conn.Queue(link.Attrs().Index, netlink.HANDLE_ROOT)
	if err == nil && root != nil && root.Attrs().Handle == rootHandle {
		err = s.exists(link.Attrs().Name)
	}
	return err
}

func (s Shape) exists(link string) error {
	return fault.New(fault.Taken, "delete it before you add it again", "attachment %s: exists already, with a queue at %s", s.Owner, link)
}

// Apply makes the queue.
func (s Shaped) Apply(_ context.Context, at *site.Site) (bool, error) {
	if s.Rate == 0 {
		return false, nil
	}
	link, err := s.end(at)
	if err != nil {
		return false, err
	}
	return s.queue(at, link)
}

// Undo removes the queue, where the link that has it is still there, on whichever side that is.
func (s Shaped) Undo(_ context.Context, at *site.Site) error {
	var errs []error
	for _, s.Inside = range both(at) {
		link, err := s.left(at)
		if err == nil && link != nil {
			err = s.unqueue(at, link)
		}
		errs = append(errs, err)
	}
	return fault.Join(errs...)
}

// Verify compares the queue.
func (s Shaped) Verify(_ context.Context, at *site.Site) error {
	if s.Rate == 0 {
		return nil
	}
	link, err := s.end(at)
	if err != nil {
		return asDrift(err)
	}
	return s.verify(at, link)
}

// asDrift is what an ADD would refuse, found by a CHECK.
func asDrift(err error) error {
	var e *fault.Error
	if errors.As(err, &e) && e.Code == fault.Config {
		return fault.New(fault.Drift, "", "%w", err)
	}
	return err
}
