package hostlocal

import (
	"net/netip"
	"strconv"

	"github.com/trestle-cni/trestle/pkg/ipam"
	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// namedSet is a range set and the key that it comes from, for complaints.
type namedSet struct {
	owner *keys.Object
	key   string
	set   ipam.Set
}

// parseSets reads the range sets in the order in which they yield addresses: those of the runtime, the single range written
// directly into ipam, those of ipam.ranges. The position of a set names its last_reserved_ip file.
func parseSets(r *plugin.Request, runtime, ipamKeys *keys.Object) []ipam.Set {
	lives := r.Command == "CHECK"
	named := parseRanges(runtime, "ipRanges", lives)
	if ipamKeys.Has("subnet") {
		if one, ok := parseRange(ipamKeys, lives); ok {
			named = append(named, namedSet{ipamKeys, "subnet", ipam.Set{one}})
		}
	}
	named = append(named, parseRanges(ipamKeys, "ranges", lives)...)
	if len(named) == 0 && ipamKeys.Err() == nil {
		ipamKeys.Reject("ranges", nil, "must have a range set, as in [[{\"subnet\": \"10.1.0.0/24\"}]]")
	}
	rejectOverlaps(named)
	sets := setsOf(named)
	if r.Version < "0.3.0" {
		rejectManyOfOneFamily(r.Version, ipamKeys, sets)
	}
	return sets
}

func setsOf(named []namedSet) []ipam.Set {
	sets := make([]ipam.Set, len(named))
	for i, n := range named {
		sets[i] = n.set
	}
	return sets
}

// parseRanges reads a list of range sets.
func parseRanges(o *keys.Object, key string, lives bool) []namedSet {
	var sets []namedSet
	for i, list := range o.ObjectLists(key) {
		name := key + "[" + strconv.Itoa(i) + "]"
		var set ipam.Set
		for _, entry := range list {
			if one, ok := parseRange(entry, lives); ok {
				set = append(set, one)
			}
		}
		if raw := o.List(key)[i]; len(list) == 0 && (raw[0] == '[' || raw[0] == 'n') { // anything else has been rejected
			o.Reject(name, raw, "must be a list with a range")
		}
		if len(set) == len(list) && len(set) > 0 {
			rejectBadSet(o, name, set)
			sets = append(sets, namedSet{o, name, set})
		}
	}
	return sets
}

// parseRange reads one range. It says false when it has complained.
func parseRange(o *keys.Object, lives bool) (ipam.Range, bool) {
	subnet := o.Prefix("subnet")
	rule := ""
	switch {
	case !o.Has("subnet"):
		o.Reject("subnet", nil, "must be an address and prefix length, as in 10.1.0.0/16")
		return ipam.Range{}, false
	case !subnet.IsValid():
		return ipam.Range{}, false // it has been rejected
	case subnet.Bits() > subnet.Addr().BitLen()-2:
		rule = "must have room for hosts: /" + strconv.Itoa(subnet.Addr().BitLen()-2) + " at the longest"
	case subnet != subnet.Masked():
		rule = "must have no host bits set, as in " + subnet.Masked().String()
	}
	if rule != "" {
		o.Reject("subnet", subnet.String(), rule)
		return ipam.Range{}, false
	}
	return parseBounds(o, ipam.Whole(subnet), lives)
}

// parseBounds reads what a range may say beside its subnet. The network's and the broadcast address may be given. A gateway must be in the subnet, as
// in the reference since 1.10.0; what lives already may have another, and nothing of it depends on that.
func parseBounds(o *keys.Object, r ipam.Range, lives bool) (ipam.Range, bool) {
	ok := true
	bound := func(key string, to *netip.Addr) {
		addr := o.Addr(key)
		switch {
		case !addr.IsValid():
			ok = ok && (!o.Has(key) || string(o.Raw(key)) == `""`)
			return
		case !r.Subnet.Contains(addr):
			o.Reject(key, addr.String(), "must be in "+r.Subnet.String())
		default:
			*to = addr
			return
		}
		ok = false
	}
	bound("rangeStart", &r.Start)
	bound("rangeEnd", &r.End)
	if !lives {
		bound("gateway", &r.Gateway)
	}
	if ok && r.End.Less(r.Start) {
		o.Reject("rangeStart", r.Start.String(), "must not be above rangeEnd, "+r.End.String())
		ok = false
	}
	return r, ok
}

// rejectBadSet complains of a set of both families, and of ranges that overlap.
func rejectBadSet(o *keys.Object, name string, set ipam.Set) {
	for i, r := range set {
		if r.Start.BitLen() != set[0].Start.BitLen() {
			o.Reject(name, r.Subnet.String(), "must be of one family with the set's first range, "+set[0].Subnet.String())
		}
		for _, earlier := range set[:i] {
			if r.Overlaps(earlier) {
				o.Reject(name, r.String(), "must not overlap "+earlier.String())
			}
		}
	}
}

func rejectOverlaps(sets []namedSet) {
	for i, later := range sets {
		for _, earlier := range sets[:i] {
			if later.set.Overlaps(earlier.set) {
				later.owner.Reject(later.key, later.set.String(), "must not overlap "+earlier.owner.Path(earlier.key)+", "+earlier.set.String())
			}
		}
	}
}

// rejectManyOfOneFamily complains of what a result before 0.3.0 has no place for.
func rejectManyOfOneFamily(version string, o *keys.Object, sets []ipam.Set) {
	count := make(map[int]int)
	for _, set := range sets {
		count[set[0].Start.BitLen()]++
	}
	if count[32] > 1 || count[128] > 1 {
		o.Reject("ranges", len(sets), "must be one IPv4 and one IPv6 range set at the most with cniVersion "+version)
	}
}
