package trace

import (
	"net/netip"

	"github.com/trestle-cni/trestle/pkg/operator/ruleset"
)

// toBridge takes a frame in at a port. next is whose address it has.
func (j *journey) toBridge(p *Place, port *link, next netip.Addr) *end {
	bridge := p.links[port.MasterIndex]
	if bridge == nil {
		return j.lose(p, "port %s: its bridge appeared meanwhile", port.Name)
	}
	if !bridge.up() {
		return j.drop(p, "ip link set "+bridge.Name+" up", "bridge %s is down", bridge.Name)
	}
	if port.port.State != forwarding {
		return j.drop(p, "", "port %s of %s is %s", port.Name, bridge.Name, port.port.State)
	}
	if e := j.frame(p, ruleset.Prerouting, port, nil); e != nil {
		return e
	}
	calls := p.callsIP(j.packet.Source.Is4())
	up := p.local(next, bridge)
	if calls {
		before := j.packet.Destination
		j.packet.In, j.packet.PortIn = bridge.ruleset(), port.ruleset()
		if e := j.pass(p, ruleset.Prerouting, nil); e != nil {
			return e
		}
		if j.packet.Destination != before {
			r, err := p.route(&j.packet, bridge, nil)
			if err != nil {
				return j.noRoute(p, bridge, err)
			}
			up = r.out != bridge
			next = r.next(j.packet.Destination)
		}
	}
	if up {
		if e := j.frame(p, ruleset.Input, port, nil); e != nil {
			return e
		}
		j.packet.PortIn, j.packet.PortOut = port.ruleset(), ruleset.Link{}
		return j.arrive(p, bridge, calls)
	}
	return j.across(p, bridge, port, next, calls)
}

// forwarding is a port's state in which it passes frames.
const forwarding = 3

// across sends a frame from one port to another, or up to what hangs on the bridge.
func (j *journey) across(p *Place, bridge, port *link, next netip.Addr, calls bool) *end {
	if at, above := j.town.above(p, bridge, 0, next); above != nil {
		return j.enter(at, above, next)
	}
	out, e := j.port(p, bridge, next)
	if e != nil {
		return e
	}
	switch {
	case out == port && !port.port.Hairpin:
		return j.drop(p, "set hairpinMode in the network's configuration", "%s sends no frame back where it came from (hairpin is off)", port.Name)
	case out.port.Isolated && port.port.Isolated:
		return j.drop(p, "", "ports %s and %s are isolated from each other", port.Name, out.Name)
	}
	if e := j.frame(p, ruleset.Forward, port, out); e != nil {
		return e
	}
	text := "bridge %s: from %s to %s"
	if calls {
		j.packet.In, j.packet.Out, j.packet.PortIn, j.packet.PortOut = bridge.ruleset(), bridge.ruleset(), port.ruleset(), out.ruleset()
		if e := j.pass(p, ruleset.Forward, &route{out: bridge, gateway: next}); e != nil {
			return e
		}
		text += ", shown to the rules of IP (bridge-nf-call)"
	}
	if e := j.frame(p, ruleset.Postrouting, port, out); e != nil {
		return e
	}
	if calls {
		if e := j.pass(p, ruleset.Postrouting, &route{out: bridge, gateway: next}); e != nil {
			return e
		}
	}
	j.say(p, nil, text, bridge.Name, port.Name, out.Name)
	return j.transmit(p, out, next)
}

// fromBridge sends a packet of the place itself out by its bridge.
func (j *journey) fromBridge(p *Place, bridge *link, next netip.Addr) *end {
	out, e := j.port(p, bridge, next)
	if e != nil {
		return e
	}
	for _, hook := range []ruleset.Hook{ruleset.Output, ruleset.Postrouting} {
		if e := j.frame(p, hook, nil, out); e != nil {
			return e
		}
	}
	j.say(p, nil, "bridge %s: to %s", bridge.Name, out.Name)
	return j.transmit(p, out, next)
}

// port finds the port behind which somebody answers for the address.
func (j *journey) port(p *Place, bridge *link, a netip.Addr) (*link, *end) {
	var beyond *link
	for _, port := range p.ports(bridge) {
		there, peer := j.town.peer(p, port)
		switch {
		case there == nil:
			beyond = port
		case peer.up() && (there.local(a, peer) || proxies(there, peer, a)):
			if port.port.State != forwarding || !port.up() {
				return nil, j.drop(p, "ip link set "+port.Name+" up", "port %s of %s is %s", port.Name, bridge.Name, port.port.State)
			}
			return port, nil
		}
	}
	if beyond != nil {
		return beyond, nil
	}
	return nil, j.drop(p, "", "nobody on bridge %s answers for %s", bridge.Name, a)
}

// frame takes the packet through a hook of the family bridge.
func (j *journey) frame(p *Place, hook ruleset.Hook, in, out *link) *end {
	packet := j.packet
	packet.Bridged, packet.In, packet.Out = true, in.ruleset(), out.ruleset()
	v := p.rules.Judge(hook, packet, eye{p, nil})
	if e := j.verdict(p, hook, v); e != nil {
		return e
	}
	j.packet.Mark = v.Packet.Mark
	return nil
}

// callsIP says whether bridges show their frames to the rules of IP.
func (p *Place) callsIP(is4 bool) bool {
	key := "bridge/bridge-nf-call-ip6tables"
	if is4 {
		key = "bridge/bridge-nf-call-iptables"
	}
	value, known := p.sysctl(key)
	return known && value != "0"
}
