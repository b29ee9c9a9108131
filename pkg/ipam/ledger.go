package ipam

import (
	"net/netip"
	"slices"
)

// ledger is what a network's directory holds, by address and by holder.
type ledger struct {
	byAddr   map[netip.Addr]Holder
	byHolder map[Holder][]netip.Addr
}

func newLedger(held []Reservation) *ledger {
	l := &ledger{byAddr: make(map[netip.Addr]Holder, len(held)), byHolder: make(map[Holder][]netip.Addr, len(held))}
	for _, r := range held {
		l.add(r)
	}
	return l
}

func (l *ledger) add(r Reservation) {
	l.byAddr[r.Addr] = r.Holder
	l.byHolder[r.Holder] = append(l.byHolder[r.Holder], r.Addr)
}

func (l *ledger) drop(addr netip.Addr) {
	h, ok := l.byAddr[addr]
	if !ok {
		return
	}
	delete(l.byAddr, addr)
	l.byHolder[h] = slices.DeleteFunc(l.byHolder[h], func(a netip.Addr) bool { return a == addr })
}

func (l *ledger) of(h Holder) []netip.Addr {
	return slices.SortedFunc(slices.Values(l.byHolder[h]), netip.Addr.Compare)
}

// free returns the first address of the span that nobody holds and that is not its gateway.
func (l *ledger) free(span Span) (netip.Addr, bool) {
	for addr := span.From; ; addr = addr.Next() {
		if _, held := l.byAddr[addr]; !held && addr != span.Gateway {
			return addr, true
		}
		if addr == span.To {
			return netip.Addr{}, false
		}
	}
}
