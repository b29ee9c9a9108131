package nft

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/nftconn"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// What bears an owner's mark beside his only claim was put there by hand. To find it all elements of a set must come from the kernel: no key leads to them. So a CHECK has those
// of sets that have few come, an ADD none; and who is thorough has all come, once a generation.

// few is how many messages the elements of a set may take to be looked through: there are 250 in each but the first, which has a tenth of that.
const few = 5

// strays lists what bears the owner's mark and the claim does not want.
func (f *Filter) strays(ctx context.Context, w *want) (list []string, err error) {
	thorough := firewall.IsThorough(ctx)
	for _, name := range w.sets {
		set, own := w.table.set(name), 0
		for i := range w.entries {
			if w.entries[i].set == set {
				own++
			}
		}
		elements, err := f.glimpse(set, w.owner, own, thorough)
		if err != nil {
			return nil, err
		}
		for i := range elements {
			if found := (element{set: set, SetElement: elements[i]}); belongs(&elements[i], w.owner) && !w.wants(found) {
				list = append(list, w.surplusOf(found))
			}
		}
	}
	if len(w.rules) == 0 {
		rules, err := f.rulesOf(w)
		if len(rules) > 0 {
			list = append(list, w.tooMany(len(rules)))
		}
		return list, err
	}
	return list, nil
}

// unattached adds to the holders who has anything of the network without an attachment: what was put there by hand goes with no DEL, and is nobody's then.
func (f *Filter) unattached(w *want, holders []firewall.Holder, network [8]byte) ([]firewall.Holder, error) {
	known := make(map[owner.ID]bool)
	for _, h := range holders {
		known[h.ID] = true
	}
	note := func(o owner.Owner, ours bool) {
		if ours && o.On(network) && !known[o.ID] {
			known[o.ID], f.strayed[o.ID] = true, true
			holders = append(holders, firewall.Holder{Owner: o, Linked: true})
		}
	}
	for _, name := range w.sets {
		all, err := f.dump(w.table.set(name))
		if err != nil {
			return nil, err
		}
		for i := range all {
			note(owner.Parse(all[i].Comment))
		}
	}
	if w.role != firewall.Publish {
		return holders, nil
	}
	rules, _, err := f.conditionalRules(w.table)
	for _, r := range rules {
		note(ruleOwner(r))
	}
	return holders, err
}

func (w *want) surplusOf(e element) string {
	return fmt.Sprintf("%s: expected nothing, found %s", w.titleOf(e), w.show(e.Val, w.owner.Text))
}

// titleOf is what an element is to people that no claim has.
func (w *want) titleOf(e element) string {
	if publishes(e.set.Name) {
		name, _ := checkPort(portIn(e))
		return name
	}
	if w.role.Frames() {
		link, _, _ := strings.Cut(string(e.Key), "\x00")
		return fmt.Sprintf("set %s: link %s", e.set.Name, link)
	}
	a, _ := netip.AddrFromSlice(e.address())
	return fmt.Sprintf("set %s: address %s", e.set.Name, a)
}

// glimpse returns the elements of a set that has few, if more of them than those that are known bear the owner's mark. To be counted they need not be read one by one.
func (f *Filter) glimpse(set *nftables.Set, o owner.Owner, known int, thorough bool) (elements []nftables.SetElement, err error) {
	if thorough {
		return f.whole(set, o, known)
	}
	names, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: attrTable, Data: append([]byte(set.Table.Name), 0)}, {Type: attrSecond, Data: append([]byte(set.Name), 0)}})
	if err != nil {
		return nil, err
	}
	ask := netlink.Message{Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETSETELEM}, Data: append([]byte{byte(set.Table.Family), 0, 0, 0}, names...)}
	mark := []byte(o.Tag(owner.MinRoom))
	more, err := nftconn.Some(ask, few, func(data []byte) { known -= bytes.Count(data, mark) })
	switch {
	case err != nil && misses(err) || more:
		return nil, nil
	case known >= 0 || err != nil:
		return nil, err
	}
	return f.dump(set)
}

// whole does so of a set however many it has: who looks at many owners has all come once, and knows of each how many are his.
func (f *Filter) whole(set *nftables.Set, o owner.Owner, known int) ([]nftables.SetElement, error) {
	at, named := f.sight(set.Table.Name + " " + set.Name)
	if t, seen := f.saw(at); named && seen && t.of[o.ID] <= known {
		return nil, nil
	}
	all, err := f.dump(set)
	if err != nil || !named {
		return all, err
	}
	of := make(map[owner.ID]int)
	for i := range all {
		if o, ours := owner.Parse(all[i].Comment); ours {
			of[o.ID]++
		}
	}
	f.sees(at, of)
	return all, nil
}
