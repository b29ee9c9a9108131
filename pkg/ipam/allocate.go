package ipam

import (
	"errors"
	"net/netip"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/filelock"
)

// Grant is one address that was handed out.
type Grant struct {
	Addr    netip.Prefix // the address with the length of its subnet
	Gateway netip.Addr
}

// Allocate reserves for a one address of the set with this index: the one wanted, or, where that is the zero Addr, the next free
// one. Errors name the set; their codes are fault.Taken, fault.Exhausted, fault.Config and fault.IO. After an error nothing of
// this call is left.
func (s *Store) Allocate(index int, set Set, wanted netip.Addr, a Attachment) (Grant, error) {
	addr, in, err := wanted, Range{}, error(nil)
	if wanted.IsValid() {
		in, err = s.take(set, wanted, a)
	} else {
		addr, in, err = s.takeNext(index, set, a)
	}
	if err != nil {
		return Grant{}, err
	}
	if err := s.SetLast(index, addr); err != nil {
		err = fault.New(fault.IO, filelock.Remedy(err, ioHint), "range set %s: last reserved address: %w", set, err)
		return Grant{}, errors.Join(err, s.Release(addr))
	}
	return Grant{Addr: netip.PrefixFrom(addr, in.Subnet.Bits()), Gateway: in.Gateway}, nil
}

// take reserves the address that was asked for. A dead holder gives way: for this request there is no other address.
func (s *Store) take(set Set, wanted netip.Addr, a Attachment) (Range, error) {
	in, ok := set.Find(wanted)
	switch {
	case !ok:
		return in, fault.New(fault.Config, "ask for an address of the range set", "range set %s: %s: not in it", set, wanted)
	case wanted == in.Gateway:
		return in, fault.New(fault.Taken, "ask for another address", "range set %s: %s: it is the gateway", set, wanted)
	}
	err := s.Reserve(wanted, a)
	if fault.Code(err) == fault.Taken {
		if dead, reclaimErr := s.reclaim(s.look(wanted)); dead {
			err = s.Reserve(wanted, a)
		} else if reclaimErr != nil {
			err = reclaimErr
		}
	}
	return in, named(set, err)
}

// takeNext reserves the next free address, once the dead have been taken theirs where there is none.
func (s *Store) takeNext(index int, set Set, a Attachment) (netip.Addr, Range, error) {
	for wrong := false; ; wrong = true {
		addr, in, err := s.Free(set, s.Last(index))
		if fault.Code(err) == fault.Exhausted {
			reclaimed, reclaimErr := s.Reclaim(set)
			if reclaimErr != nil {
				return addr, in, named(set, reclaimErr)
			}
			if reclaimed > 0 {
				addr, in, err = s.Free(set, s.Last(index))
			}
		}
		if err != nil {
			return addr, in, err
		}
		err = s.Reserve(addr, a)
		if fault.Code(err) == fault.Taken && !wrong { // the index knew less than the directory
			s.forget()
			continue
		}
		return addr, in, named(set, err)
	}
}

// named adds the set's name to an error, whose code and remedy stay.
func named(set Set, err error) error {
	if err == nil {
		return nil
	}
	return fault.New(fault.Code(err), fault.Hint(err), "range set %s: %w", set, err)
}
