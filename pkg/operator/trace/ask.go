package trace

import (
	"fmt"
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/netns"
	"github.com/trestle-cni/trestle/pkg/operator/ruleset"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// Addresses that stand for anybody outside: those of documentation, RFC 5737 and RFC 3849.
var (
	anybody4 = netip.AddrFrom4([4]byte{203, 0, 113, 1})
	anybody6 = netip.MustParseAddr("2001:db8:ffff::1")
)

// outside is the word for whoever is not on this host.
const outside = "outside"

// Parse makes a question of the words of an operator: from, and `to`, `to:port` or `to:port/protocol`. An end is a container's id or the
// beginning of it, a pod's name, the name of a namespace, an address, "host" or "outside". results is the directory of libcni's cache.
func (t *Town) Parse(from, to, results string, six bool) (Question, error) {
	var q Question
	t.namePods(results)
	to, err := q.port(t.target(to, results))
	if err != nil {
		return q, err
	}
	if from == to && from == outside {
		return q, fault.New(fault.Config, "name one end that is on this host", "from outside to outside: not this host's affair")
	}
	// The address that is asked for tells the family.
	target, place, err := t.end(to, results)
	if err != nil {
		return q, err
	}
	is4 := !six
	if target.IsValid() {
		is4 = target.Is4()
	}
	source, sender, err := t.end(from, results)
	if err != nil {
		return q, err
	}
	q.From, q.Source, q.To = sender, source, target
	if sender == nil {
		err = t.comeFromOutside(&q, source, is4)
	}
	if err == nil && !target.IsValid() {
		q.To, err = t.targetOf(&q, place, is4)
	}
	if err == nil && q.Source.IsValid() && q.Source.Is4() != q.To.Is4() {
		err = fault.New(fault.Config, "name two addresses of one family", "%s and %s: an address of IPv4 and one of IPv6", q.Source, q.To)
	}
	if err == nil && q.Protocol == unix.IPPROTO_ICMP && q.To.Is6() {
		q.Protocol = unix.IPPROTO_ICMPV6
	}
	return q, err
}

// protocols are those that can be asked for.
var protocols = map[string]uint8{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP, "icmp": unix.IPPROTO_ICMP}

// port takes port and protocol off the target. Without a port it is a ping.
func (q *Question) port(to string) (string, error) {
	protocol, named := "", false
	if i := strings.LastIndexByte(to, '/'); i >= 0 {
		if _, known := protocols[to[i+1:]]; known || strings.ContainsRune(to[:i], ':') { // else it is of a pod's name
			to, protocol, named = to[:i], to[i+1:], true
		}
	}
	if q.Protocol = protocols[protocol]; named && q.Protocol == 0 {
		return "", fault.New(fault.Config, "one of tcp, udp, sctp, icmp", "protocol %q: not known", protocol)
	}
	host, port := to, ""
	if i := strings.LastIndex(to, ":"); i >= 0 && (strings.Count(to, ":") == 1 || to[0] == '[') && !strings.HasSuffix(to, "]") {
		host, port = to[:i], to[i+1:]
	}
	host = strings.Trim(host, "[]")
	if port == "" {
		if q.Protocol != 0 && q.Protocol != unix.IPPROTO_ICMP {
			return "", fault.New(fault.Config, "write TO:PORT/"+protocol, "%s: no port", to)
		}
		q.Protocol = unix.IPPROTO_ICMP
		return host, nil
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return "", fault.New(fault.Config, "a port is a number from 1 to 65535", "port %q: not one", port)
	}
	if q.Port = uint16(number); q.Protocol == 0 {
		q.Protocol = unix.IPPROTO_TCP
	}
	return host, nil
}

// end reads one end: an address, a place, or both. Neither is the outside.
func (t *Town) end(word, results string) (netip.Addr, *Place, error) {
	if a, err := netip.ParseAddr(word); err == nil {
		return a.Unmap(), t.at(a.Unmap()), nil
	}
	for _, p := range t.Places {
		if p.Name == word || p.Path != "" && (p.Path == word || filepath.Base(p.Path) == word) {
			return netip.Addr{}, p, nil
		}
	}
	if word == outside {
		return netip.Addr{}, nil, nil
	}
	found := t.containers(word, results)
	switch len(found) {
	case 1:
		for _, p := range found {
			return netip.Addr{}, p, nil
		}
	case 0:
		return netip.Addr{}, nil, t.unknown(word)
	}
	ids := make([]string, 0, len(found))
	for id := range found {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return netip.Addr{}, nil, fault.New(fault.Config, "write more of it", "%s: begins the ids of several containers: %s", word, strings.Join(ids, ", "))
}

// target is the target's words; of a published port's number alone, where nobody is called so, the port of this host.
func (t *Town) target(to, results string) string {
	if port := t.published(to); port != "" && !t.names(to, results) {
		return port
	}
	return to
}

// names says whether the word is somebody's name.
func (t *Town) names(word, results string) bool {
	return slices.ContainsFunc(t.Places, func(p *Place) bool { return p.Name == word }) || len(t.containers(word, results)) > 0
}

// at returns the place that has the address. Loopback addresses are everywhere, and no place's.
func (t *Town) at(a netip.Addr) *Place {
	for _, p := range t.Places {
		if !a.IsLoopback() && p.holder(a) != nil {
			return p
		}
	}
	return nil
}

// containers finds places by the ids that runtimes know: from the names that our links bear, and from libcni's cache.
func (t *Town) containers(prefix, results string) map[string]*Place {
	found := make(map[string]*Place)
	for _, l := range t.Host().links {
		o, ours := owner.Parse(l.Alias)
		if !ours {
			continue
		}
		if _, id, _, whole := o.Names(); whole && strings.HasPrefix(id, prefix) {
			if p, _ := t.peer(t.Host(), l); p != nil {
				found[id] = p
			}
		}
	}
	entries, _ := cache.Read(results) // what is torn has no name to be found by
	for _, e := range entries {
		if !strings.HasPrefix(e.ContainerID, prefix) && path.Base(e.Pod()) != prefix || found[e.ContainerID] != nil {
			continue
		}
		for _, p := range t.Places {
			if e.Netns != "" && p.Path != "" && netns.Number(e.Netns) == netns.Number(p.Path) {
				found[e.ContainerID] = p
			}
		}
	}
	return found
}

// unknown is the fault for a name that nothing has, with those that there are.
func (t *Town) unknown(word string) error {
	names := []string{outside}
	for _, p := range t.Places {
		names = append(names, p.Name)
	}
	hint := "there are: " + strings.Join(names, ", ")
	if len(t.Closed) > 0 {
		hint += fmt.Sprintf("; %d namespaces could not be entered (as root they can)", len(t.Closed))
	}
	return fault.New(fault.Config, hint, "%s: no such container, namespace or address", word)
}

// comeFromOutside lets the packet come in by the link that leads back to its sender.
func (t *Town) comeFromOutside(q *Question, source netip.Addr, is4 bool) error {
	q.From = t.Host()
	if q.Source = source; !source.IsValid() {
		q.Source = anybody6
		if is4 {
			q.Source = anybody4
		}
	}
	r, err := q.From.route(&ruleset.Packet{Destination: q.Source}, nil, nil)
	if err != nil || r.kind != unix.RTN_UNICAST {
		return fault.New(fault.Config, "name an address to which the host has a route", "%s: the host has no route there: nothing comes from there",
			q.Source)
	}
	if q.Entry = r.out.Name; r.gateway.IsValid() && !source.IsValid() {
		q.Source = r.gateway // whom the host knows there
	}
	return nil
}

// targetOf chooses which of a place's addresses is asked for: of the host its address on the sender's network if it has one.
func (t *Town) targetOf(q *Question, place *Place, is4 bool) (netip.Addr, error) {
	if place == nil {
		if is4 {
			return anybody4, nil
		}
		return anybody6, nil
	}
	if place == t.Host() && q.From != place {
		somewhere := map[bool]netip.Addr{true: anybody4, false: anybody6}[is4]
		r, err := q.From.route(&ruleset.Packet{Destination: somewhere}, nil, nil)
		if err == nil && r.gateway.IsValid() && place.holder(r.gateway) != nil {
			return r.gateway, nil
		}
	}
	if list := place.addresses(is4); len(list) > 0 {
		return list[0], nil
	}
	if a := t.given(place, is4); a.IsValid() {
		return a, nil
	}
	return netip.Addr{}, fault.New(fault.Config, "try the other family (-6), or name an address", "%s: no address of the family", place.Name)
}
