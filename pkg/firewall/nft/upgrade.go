package nft

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Version 1 had sets local4 and local6, `subnet . destination`, that belonged to nobody. Version 2 has the same by container: what may
// be sent directly, and who is near to a published address. Version 3 guards ::1, too. Version 4 drops what guarded
// ports advertise, version 5 in tagged frames, too. Version 6 counts what
// it drops.

// fromV1 adds to the elements kept from a table of version 1 those that each owner has in version 2 instead, and counts them.
func (f *Filter) fromV1(old []*nftables.Set, kept map[string][]nftables.SetElement) error {
	more := make(map[[16]byte]int)
	for _, suffix := range []string{"4", "6"} {
		i := slices.IndexFunc(old, func(s *nftables.Set) bool { return s.Name == "local"+suffix })
		if i < 0 {
			continue
		}
		subnets, err := f.dump(old[i])
		if err != nil {
			return err
		}
		for _, into := range []struct {
			from, to string
			role     firewall.Role
		}{{"masq", "direct", firewall.Masquerade}, {"snat", "near", firewall.Publish}} {
			for _, e := range pairs(kept[into.from+suffix], subnets) {
				kept[into.to+suffix] = append(kept[into.to+suffix], e)
				if o, ours := owner.Parse(e.Comment); ours {
					more[o.Key(string(into.role))]++
				}
			}
		}
	}
	for i, e := range kept[attachments] {
		if n := more[[16]byte(e.Key)]; n > 0 && len(e.Val) == 2 {
			kept[attachments][i].Val = binary.BigEndian.AppendUint16(nil, binary.BigEndian.Uint16(e.Val)+uint16(n))
		}
	}
	return nil
}

// pairs returns, for each address that the keys of owned begin with, the range of the address with its subnet; each once.
func pairs(owned, subnets []nftables.SetElement) (list []nftables.SetElement) {
	for _, s := range subnets {
		size := len(s.Key) / 2
		for _, e := range owned {
			addr := e.Key[:size]
			if bytes.Compare(addr, s.Key[:size]) < 0 || bytes.Compare(addr, s.KeyEnd[:size]) > 0 {
				continue
			}
			pair := nftables.SetElement{Key: slices.Concat(addr, s.Key[size:]), KeyEnd: slices.Concat(addr, s.KeyEnd[size:]), Comment: e.Comment}
			if !slices.ContainsFunc(list, func(other nftables.SetElement) bool { return bytes.Equal(other.Key, pair.Key) }) {
				list = append(list, pair)
			}
		}
	}
	return list
}
