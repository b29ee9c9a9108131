package ipam

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/filelock"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// LetGo releases all addresses of the holder, in whatever range and however the ranges have changed since, and returns them. Files that name the
// container only count where no file names the interface too, as in the reference. Where the network has no directory nothing is held.
func LetGo(ctx context.Context, dirs []string, network string, h Holder, p Policy) (released []netip.Addr, err error) {
	err = each(ctx, dirs, network, p, func(s *Store) error {
		own, err := s.of(h)
		released = append(released, own...)
		return errors.Join(err, s.ReleaseAll(own))
	})
	return released, err
}

// Addresses lists what LetGo would release.
func Addresses(ctx context.Context, dirs []string, network string, h Holder) (list []netip.Addr, err error) {
	err = each(ctx, dirs, network, Policy{}, func(s *Store) error {
		own, err := s.of(h)
		list = append(list, own...)
		return err
	})
	return list, err
}

// of returns the addresses that are the holder's alone or, where none is, the container's.
func (s *Store) of(h Holder) ([]netip.Addr, error) {
	own, legacy, err := s.Held(h)
	if len(own) == 0 {
		own = legacy
	}
	return own, err
}

// Collect releases every address whose holder is not kept and on whose attachment nobody is at work, and what a crash tore; with keeps nil, and where
// the policy is dry, only the provably dead lose theirs.
func Collect(ctx context.Context, dirs []string, network string, keeps func(Holder) bool, p Policy) error {
	return each(ctx, dirs, network, p, func(s *Store) error {
		if keeps == nil || p.Dry {
			_, err := s.Reclaim(nil)
			return err
		}
		left, stale, err := s.left(network, keeps)
		for _, r := range left {
			stale = append(stale, r.Addr)
		}
		return errors.Join(err, s.ReleaseAll(stale))
	})
}

// Left lists whose addresses Collect would release.
func Left(ctx context.Context, dirs []string, network string, keeps func(Holder) bool) (holders []Holder, err error) {
	err = each(ctx, dirs, network, Policy{}, func(s *Store) error {
		left, _, err := s.left(network, keeps)
		for _, r := range left {
			if !slices.Contains(holders, r.Holder) {
				holders = append(holders, r.Holder)
			}
		}
		return err
	})
	return holders, err
}

// left are the reservations of holders who are not kept, and on whose attachment nobody is at work; and the files that a crash tore.
func (s *Store) left(network string, keeps func(Holder) bool) (left []Reservation, torn []netip.Addr, err error) {
	held, torn, err := s.All()
	errs := []error{err}
	for _, r := range held {
		if r.Holder.Unknown() || keeps(r.Holder) {
			continue
		}
		busy, err := atWork(network, r.Holder)
		if errs = append(errs, err); !busy && err == nil {
			left = append(left, r)
		}
	}
	return left, torn, errors.Join(errs...)
}

// atWork says whether a plugin is at work on the attachment of the holder: an ADD that has its address from us, and not yet a link by which anybody
// else could see it.
func atWork(network string, h Holder) (bool, error) {
	busy, err := filelock.PartTaken(filepath.Join(run, owner.Locks), owner.Of(network, h.ContainerID, h.IfName).Place())
	if err != nil {
		err = fault.New(fault.IO, run+" must be readable", "%s: not released, since it is not known whether an ADD is at work: %w", h, err)
	}
	return busy, err
}

// each opens the network's store in each of the directories that has one.
func each(ctx context.Context, dirs []string, network string, p Policy, do func(*Store) error) error {
	var errs []error
	for _, dir := range dirs {
		s, err := Open(ctx, dir, network, false)
		if nowhere(err) {
			continue
		}
		if err == nil {
			s.Policy = p
			err = errors.Join(do(s), s.Close())
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// nowhere says whether the error means that there can be no directory of that name, be it a name that none can have.
func nowhere(err error) bool {
	for _, none := range []error{fs.ErrNotExist, unix.ENOTDIR, unix.ENAMETOOLONG, unix.ELOOP, unix.EINVAL} {
		if errors.Is(err, none) {
			return true
		}
	}
	return false
}

// ReleaseAll releases all the addresses, also where one of them resists.
func (s *Store) ReleaseAll(addrs []netip.Addr) error {
	var errs []error
	for _, addr := range addrs {
		errs = append(errs, s.Release(addr))
	}
	return errors.Join(errs...)
}
