package site

import (
	"errors"

	"github.com/vishvananda/netlink"
)

// LinkList lists the side's links. Where the kernel says that they changed while it was listing them (NLM_F_DUMP_INTR, netlink(7)) it is
// asked again: other containers come and go all the time.
func (s *Side) LinkList() ([]netlink.Link, error) {
	handle, err := s.Handle()
	if err != nil {
		return nil, err
	}
	return whole(handle.LinkList)
}

// RouteListFiltered is the library's, asked again as LinkList.
func (s *Side) RouteListFiltered(family int, filter *netlink.Route, mask uint64) ([]netlink.Route, error) {
	handle, err := s.Handle()
	if err != nil {
		return nil, err
	}
	return whole(func() ([]netlink.Route, error) { return handle.RouteListFiltered(family, filter, mask) })
}

// whole repeats a dump until it was not interrupted.
func whole[T any](dump func() ([]T, error)) ([]T, error) {
	for {
		list, err := dump()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return list, err
		}
	}
}
