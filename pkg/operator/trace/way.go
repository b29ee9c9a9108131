package trace

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/operator/known"
	"github.com/trestle-cni/trestle/pkg/operator/ruleset"
)

// send lets the place itself send the packet. Without a source the kernel chooses one.
func (j *journey) send(p *Place) *end {
	r, err := p.route(&j.packet, nil, nil)
	if err != nil {
		return j.noRoute(p, nil, err)
	}
	if !j.packet.Source.IsValid() {
		j.packet.Source = r.source
		if !r.source.IsValid() {
			return j.drop(p, "give the interface an address", "no source address for %s", j.packet.Destination)
		}
		if !ping(j.packet.Protocol) { // who connects is asked again, now with a source
			if r, err = p.route(&j.packet, nil, nil); err != nil {
				return j.noRoute(p, nil, err)
			}
		}
	}
	j.say(p, nil, "route to %s: %s", j.packet.Destination, r)
	if r.kind == unix.RTN_BROADCAST || r.kind == unix.RTN_MULTICAST {
		return j.lose(p, "%s is not one receiver, and who of many hears it is not followed", j.packet.Destination)
	}
	before := j.packet
	j.packet.In, j.packet.Out = ruleset.Link{}, r.out.ruleset()
	if e := j.pass(p, ruleset.Output, r); e != nil {
		return e
	}
	if j.packet.Destination != before.Destination || j.packet.Mark != before.Mark {
		if r, err = p.route(&j.packet, nil, nil); err != nil {
			return j.noRoute(p, nil, err)
		}
		j.say(p, nil, "route to %s: %s", j.packet.Destination, r)
		j.packet.Out = r.out.ruleset()
	}
	return j.leave(p, r)
}

// ping says whether the protocol is that of pings, which are sent without a connection.
func ping(protocol uint8) bool {
	return protocol == unix.IPPROTO_ICMP || protocol == unix.IPPROTO_ICMPV6
}

// leave takes the packet out by the route.
func (j *journey) leave(p *Place, r *route) *end {
	if e := j.pass(p, ruleset.Postrouting, r); e != nil {
		return e
	}
	if !r.out.up() {
		return j.drop(p, "ip link set "+r.out.Name+" up", "%s is down", r.out.Name)
	}
	if r.out.loopback() {
		j.packet.In, j.packet.Out = r.out.ruleset(), ruleset.Link{}
		if e := j.pass(p, ruleset.Prerouting, nil); e != nil {
			return e
		}
		return j.deliver(p)
	}
	next := r.next(j.packet.Destination)
	j.known = p.permanent(r.out, next)
	if r.out.kind == known.KindBridge {
		return j.fromBridge(p, r.out, next)
	}
	return j.transmit(p, r.out, next)
}

// transmit hands the packet to the other end of a link.
func (j *journey) transmit(p *Place, l *link, next netip.Addr) *end {
	j.packet.MAC, j.tag = l.HardwareAddr, 0
	if _, above := j.town.above(p, l, 0, next); above != nil {
		return j.drop(p, "set hostShim in the network's configuration", "%s, which has %s, hangs on %s, and the kernel keeps the two apart", above.Name, next, l.Name)
	}
	return j.cross(p, l, next)
}

// cross is transmit of what another link made the frame of.
func (j *journey) cross(p *Place, l *link, next netip.Addr) *end {
	if e := j.device(p, l, ruleset.Egress); e != nil {
		return e
	}
	switch {
	case l.kind == known.KindVeth, l.kind == known.KindNetkit:
	case known.Stacked(l.kind):
		return j.byParent(p, l, next)
	case l.kind == known.KindBridge && j.tag == 0:
		return j.fromBridge(p, l, next)
	case known.Opaque(l.kind) || l.kind == known.KindBridge:
		return j.lose(p, "it goes out by %s, a %s: what becomes of it there is not followed", l.Name, l.kind)
	default:
		return j.outside(p, l, next)
	}
	there, peer := j.town.peer(p, l)
	if there == nil {
		return j.outside(p, l, next)
	}
	if !peer.up() {
		return j.drop(there, "ip link set "+peer.Name+" up in "+there.Name, "%s, the other end of %s in %s, is down", peer.Name, l.Name, p.Name)
	}
	return j.enter(there, peer, next)
}

// proxies says whether the link answers for addresses of others.
func proxies(p *Place, l *link, a netip.Addr) bool {
	key := "ipv4/conf/" + l.Name + "/proxy_arp"
	if a.Is6() {
		key = "ipv6/conf/" + l.Name + "/proxy_ndp"
	}
	value, _ := p.sysctl(key)
	return value == "1"
}

// outside is where no namespace is: the packet has left this host.
func (j *journey) outside(p *Place, l *link, next netip.Addr) *end {
	if l.RawFlags&unix.IFF_LOWER_UP == 0 {
		return j.drop(p, "look at its cable, or at what is at its other end", "%s has no carrier", l.Name)
	}
	j.say(p, nil, "leaves by %s to %s", l.Name, next)
	j.external = true
	return &end{outcome: Reachable, place: p, why: "it leaves the host by " + l.Name}
}

// device judges chains that hang on one link.
func (j *journey) device(p *Place, l *link, hook ruleset.Hook) *end {
	v := p.rules.JudgeDevice(hook, l.Name, j.packet)
	if e := j.verdict(p, hook, v); e != nil {
		return e
	}
	j.packet.Mark = v.Packet.Mark
	return nil
}

// arrive takes a packet of IP in that came by the link. seen says that a bridge has shown it to the hook prerouting.
func (j *journey) arrive(p *Place, l *link, seen bool) *end {
	j.packet.In, j.packet.Out = l.ruleset(), ruleset.Link{}
	if k := j.known; k != nil && !bytes.Equal(k.mac, l.HardwareAddr) {
		return j.drop(k.by, fmt.Sprintf("ip neigh del %s dev %s%s", k.addr, k.link.Name, within(k.by)),
			"%s is sent to %s, by an entry that somebody made for ever, and %s has %s", k.addr, k.mac, l.Name, l.HardwareAddr)
	}
	if (loops(j.packet.Source) || loops(j.packet.Destination)) && j.packet.Source.Is6() { // ip6_rcv_core, before the rules
		return j.drop(p, "", "%s to %s, and not by lo: IPv6 drops that", j.packet.Source, j.packet.Destination)
	}
	if !seen {
		if e := j.pass(p, ruleset.Prerouting, nil); e != nil {
			return e
		}
	}
	r, err := p.route(&j.packet, l, nil)
	if err != nil {
		return j.noRoute(p, l, err)
	}
	if r.kind == unix.RTN_LOCAL || r.kind == unix.RTN_BROADCAST || r.kind == unix.RTN_ANYCAST {
		return j.deliver(p)
	}
	if e := j.forwards(p, l); e != nil {
		return e
	}
	if !r.out.up() {
		return j.drop(p, "ip link set "+r.out.Name+" up", "%s is down", r.out.Name)
	}
	j.say(p, nil, "forward to %s: %s", j.packet.Destination, r)
	j.packet.Out = r.out.ruleset()
	if e := j.pass(p, ruleset.Forward, r); e != nil {
		return e
	}
	return j.leave(p, r)
}

func loops(a netip.Addr) bool { return a.IsLoopback() }

// forwards asks the switch that a route lookup does not look at.
func (j *journey) forwards(p *Place, l *link) *end {
	if j.packet.Destination.Is4() {
		return nil // the lookup looked
	}
	if value, known := p.sysctl("ipv6/conf/all/forwarding"); known && value == "0" {
		return j.drop(p, "sysctl -w net.ipv6.conf.all.forwarding=1", "%s does not forward IPv6 (net.ipv6.conf.all.forwarding is 0)", p.Name)
	}
	return nil
}

// noRoute explains why the kernel has no route for the packet.
func (j *journey) noRoute(p *Place, in *link, err error) *end {
	to, from := j.packet.Destination, j.packet.Source
	if e := j.refused(p, &j.packet, in); e != nil {
		return e
	}
	if in == nil {
		if loops(from) && !loops(to) {
			return j.drop(p, "sysctl -w net.ipv4.conf.all.route_localnet=1, with a guard against neighbours",
				"a packet from %s does not leave by a link (route_localnet is 0)", from)
		}
		return j.drop(p, "ip route add "+to.String()+" via GATEWAY"+within(p), "no route to %s: %v", to, err)
	}
	forwarding, _ := p.sysctl("ipv4/conf/" + in.Name + "/forwarding")
	switch {
	case loops(to) && to.Is4():
		return j.drop(p, "sysctl -w net.ipv4.conf."+in.Name+".route_localnet=1", "%s, and not by lo: a martian (route_localnet of %s is 0)", to, in.Name)
	case errors.Is(err, unix.EHOSTUNREACH) && to.Is4() && forwarding == "0":
		return j.drop(p, "sysctl -w net.ipv4.ip_forward=1"+within(p), "%s does not forward IPv4 (net.ipv4.conf.%s.forwarding is 0)", p.Name, in.Name)
	case p.holder(from) != nil:
		return j.drop(p, "", "source %s may not come in by %s: it is an address of %s itself", from, in.Name, p.Name)
	}
	if e := j.refused(p, &ruleset.Packet{Source: to, Destination: from}, nil); e != nil { // the kernel looks for the way back as well
		return e
	}
	if _, err := p.route(&ruleset.Packet{Destination: to, Mark: j.packet.Mark}, nil, nil); err == nil && to.Is4() {
		if back := p.reversePath(from, in); back != "" {
			return j.drop(p, fmt.Sprintf("sysctl -w net.ipv4.conf.%s.rp_filter=2%s, or mend the route to %s", in.Name, within(p), from),
				"rp_filter of %s: %s", in.Name, back)
		}
		return j.drop(p, "", "source %s may not come in by %s: it is none that a sender may have", from, in.Name)
	}
	return j.drop(p, "ip route add "+to.String()+" ..."+within(p), "no route to %s: %v", to, err)
}

// reversePath says why a packet from the address may not come in by the link (rp_filter); empty: it may. The kernel tells this and other
// reasons by one error.
func (p *Place) reversePath(from netip.Addr, in *link) string {
	own, _ := p.sysctl("ipv4/conf/" + in.Name + "/rp_filter")
	all, _ := p.sysctl("ipv4/conf/all/rp_filter")
	back, err := p.route(&ruleset.Packet{Destination: from}, nil, nil)
	switch mode := max(own, all); {
	case mode == "0":
		return ""
	case err != nil:
		return fmt.Sprintf("there is no route back to %s", from)
	case mode == "1" && back.out != in:
		return fmt.Sprintf("the way back to %s is by %s, and the filter is strict", from, back.out.Name)
	}
	return ""
}

func within(p *Place) string {
	if p.Path == "" {
		return ""
	}
	return " in " + p.Name
}

// deliver gives the packet to the place itself.
func (j *journey) deliver(p *Place) *end {
	if e := j.pass(p, ruleset.Input, nil); e != nil {
		return e
	}
	j.say(p, nil, "arrives at %s from %s", ending(tupleOf(&j.packet)[1]), j.packet.Source)
	return &end{outcome: Reachable, place: p}
}
