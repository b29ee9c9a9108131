package ipam

import (
	"errors"
	"net/netip"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// Grant is one address that was handed out.
type Grant struct {
	Addr    netip.Prefix // the address with the length of its subnet
	Gateway netip.Addr
}

// Allocate reserves for h one address of the set with this index: the one wanted, or, where that is the zero Addr, the next free
// one. Errors name the set; their codes are fault.Taken, fault.Exhausted, fault.Config and fault.IO. After an error nothing of
// this call is left.
func (s *Store) Allocate(index int, set Set, wanted netip.Addr, h Holder) (Grant, error) {
	addr, in, err := wanted, Range{}, error(nil)
	if wanted.IsValid() {
		in, err = s.take(set, wanted, h)
	} else {
		addr, in, err = s.takeNext(index, set, h)
	}
	if err != nil {
		return Grant{}, err
	}
	if err := s.SetLast(index, addr); err != nil {
		err = fault.New(fault.IO, ioHint, "range set %s: last reserved address: %w", set, err)
		return Grant{}, errors.Join(err, s.Release(addr))
	}
	return Grant{Addr: netip.PrefixFrom(addr, in.Subnet.Bits()), Gateway: in.Gateway}, nil
}

func (s *Store) take(set Set, wanted netip.Addr, h Holder) (Range, error) {
	in, ok := set.Find(wanted)
	switch {
	case !ok:
		return in, fault.New(fault.Config, "ask for an address of the range set", "range set %s: %s: not in it", set, wanted)
	case wanted == in.Gateway:
		return in, fault.New(fault.Taken, "ask for another address", "range set %s: %s: it is the gateway", set, wanted)
	}
	if err := s.Reserve(wanted, h); err != nil {
		return in, fault.New(fault.Code(err), fault.Hint(err), "range set %s: %w", set, err)
	}
	return in, nil
}

func (s *Store) takeNext(index int, set Set, h Holder) (netip.Addr, Range, error) {
	addr, in, err := s.Free(set, s.Last(index))
	if err == nil {
		err = s.Reserve(addr, h)
	}
	if err != nil && fault.Code(err) != fault.Exhausted {
		err = fault.New(fault.Code(err), fault.Hint(err), "range set %s: %w", set, err)
	}
	return addr, in, err
}
