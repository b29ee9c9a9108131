package step

import (
	"context"
	"errors"
	"net"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/netns"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Ready says whether the kernel has all that the queues and the way to them are of. Which of it a runtime will ask for is not known, and a kernel does not tell but by
// making it; so it is made, of lo in a namespace that is thrown away.
func (m Mirrored) Ready(_ context.Context, at *site.Site) error {
	err := netns.Trial(func() error {
		s, err := site.Open(site.Options{})
		if err != nil {
			return err
		}
		defer s.Close()
		return m.try(s)
	})
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) { // no further namespace, and no word on the rest
		at.Logf("what the kernel has for bandwidth is not known: %v", err)
		return nil
	}
	return err
}

func (m Mirrored) try(s *site.Site) error {
	lo, err := need(s.Host, "lo")
	if err != nil {
		return err
	}
	m.Rate, m.Burst, m.Inside = 8000000, 800000, false // no packet will ever see it, and there is one side
	m.Name, m.MAC = "bwp", net.HardwareAddr{2, 0, 0, 0, 0, 1}
	if _, err := m.queue(s, lo); err != nil {
		return err
	}
	link, _, err := m.link(s, lo)
	if err != nil {
		return err
	}
	_, err = m.lead(s, lo, link)
	return err
}
