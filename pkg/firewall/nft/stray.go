package nft

import (
	"bytes"
	"encoding/binary"
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

// What bears an owner's mark beside his only claim was put there by hand. To find it all elements of a set must come from the kernel; so a CHECK has those of sets that have few
// come, and an ADD none.

// few is how many messages the elements of a set may take to be looked through: there are 250 in each but the first, which has a tenth of that.
const few = 2

// strays lists what bears the owner's mark and the claim does not want.
func (f *Filter) strays(w *want) (list []string, err error) {
	for _, name := range w.sets {
		set := w.table.set(name)
		if set.Interval { // of which to read one takes ten times as long, and which alone lets nothing through
			continue
		}
		own := 0
		for _, e := range w.entries {
			if e.set == set {
				own++
			}
		}
		elements, err := f.glimpse(set, w.owner, own)
		if err != nil {
			return nil, err
		}
		for _, e := range elements {
			if found := (element{set: set, SetElement: e}); belongs(&e, w.owner) && !w.wants(found) {
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
		if set := w.table.set(name); !set.Interval {
			all, err := f.dump(set)
			if err != nil {
				return nil, err
			}
			for _, e := range all {
				note(owner.Parse(e.Comment))
			}
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

// glimpse returns the elements of a set that has few, if more of them than those that are known bear the owner's mark. To be counted they need not be read one by one; and who
// looks at many owners, as the tool does, learns once a generation that a set has more.
func (f *Filter) glimpse(set *nftables.Set, o owner.Owner, known int) (elements []nftables.SetElement, err error) {
	at, named := f.sight("more than few in " + set.Table.Name + " " + set.Name)
	if named && f.saw(at) {
		return nil, nil
	}
	names, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: attrTable, Data: append([]byte(set.Table.Name), 0)}, {Type: attrSecond, Data: append([]byte(set.Name), 0)}})
	if err != nil {
		return nil, err
	}
	ask := netlink.Message{Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETSETELEM}, Data: append([]byte{byte(set.Table.Family), 0, 0, 0}, names...)}
	answers, more, err := nftconn.Some(ask, few)
	if named && more {
		return nil, f.sees(at)
	}
	if err != nil && misses(err) || more {
		return nil, nil
	}
	mark := []byte(o.Tag(owner.MinRoom))
	for _, data := range answers {
		known -= bytes.Count(data, mark)
	}
	if known >= 0 || err != nil {
		return nil, err
	}
	return elementsIn(answers)
}

// elementsIn reads the elements in the messages of a dump.
func elementsIn(messages [][]byte) (elements []nftables.SetElement, err error) {
	for _, data := range messages {
		ad, failed := netlink.NewAttributeDecoder(data[min(headerSize, len(data)):])
		if failed != nil {
			return nil, failed
		}
		for ad.ByteOrder = binary.BigEndian; ad.Next(); {
			if int(ad.Type()) == attrElements {
				some, failed := readElements(ad.Bytes())
				if failed != nil {
					return nil, failed
				}
				elements = append(elements, some...)
			}
		}
	}
	return elements, nil
}
