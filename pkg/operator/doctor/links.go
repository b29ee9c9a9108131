package doctor

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/plan"
)

func linkChecks() []Check {
	return []Check{
		{"bridge-gone", Error, "no container that was on it is reached", (*Picture).bridgesGone, nil},
		{"bridge-down", Error, "no container on it is reached", (*Picture).bridgesDown, nil},
		{"link-down", Error, "the container is not reached", (*Picture).hostLinksDown, []string{"bridge-down"}},
		{"parent-down", Error, "no container whose interface hangs on it is reached", (*Picture).parentsDown, nil},
		{"interface-down", Error, "the container reaches nobody", (*Picture).interfacesDown, []string{"lease-not-renewed"}},
		{"port-detached", Error, "the container is not reached: its host link is the port of no bridge", (*Picture).detached, []string{"bridge-gone"}},
		{"gateway-missing", Error, "the container's default route leads to an address that nobody has",
			(*Picture).gateways, []string{"ipv6-disabled", "bridge-gone"}},
		{"address-twice", Error, "of two containers with one address, one is not reached, or each now and then", (*Picture).addressTwice, nil},
		{"mac-twice", Error, "a bridge sends frames to one of two ports with one address", (*Picture).macTwice, nil},
		{"mtu-uplink", Warning, "packets that fit the container's interface are too long for the way out: they are cut, or lost where that is not allowed",
			(*Picture).mtuUplink, nil},
		{"mtu-pair", Warning, "what one end sends may be too long for the other, which drops it without a word", (*Picture).mtuPair, nil},
		{"default-route-missing", Error, "the container has none of the routes that its network gave it", (*Picture).routesGone, []string{"lease-not-renewed"}},
		{"neighbour-wrong", Error, "what is sent there goes to an Ethernet address that nobody, or somebody else, has", (*Picture).neighbours, nil},
		{"uplink-down", Error, "nothing passes between containers and the outside", (*Picture).uplinksDown, nil},
		{"host-route-missing", Warning, "containers reach nothing beyond the host's own neighbours",
			(*Picture).hostRoutes, []string{"uplink-down", "route-blackhole"}},
	}
}

func (p *Picture) bridgesDown() (found []Finding) {
	for bridge, list := range p.bridges() {
		if l := p.Host.Own().Named(bridge); !l.Up {
			found = append(found, Finding{Object: "link " + bridge, What: fmt.Sprintf("the bridge is down; %d containers are on it", len(list)),
				Remedy: "ip link set " + bridge + " up", Fix: &Fix{Kind: SetUp, Name: bridge}, about: list})
		}
	}
	return found
}

// bridgesGone looks for bridges that living containers were put on.
func (p *Picture) bridgesGone() (found []Finding) {
	for _, a := range p.living() {
		if bridge := a.Promise.Bridge; bridge != "" && a.HostLink != "" && p.Host.Own().Named(bridge) == nil {
			found = append(found, Finding{Object: name(a), What: "the bridge " + bridge + " that it was put on is gone", cause: bridge,
				Remedy: "delete the container and add it again: the first ADD makes the bridge", about: []*observe.Attachment{a}})
		}
	}
	return found
}

func (p *Picture) hostLinksDown() (found []Finding) {
	for _, a := range p.living() {
		if l := p.Host.Link(a.HostLink); l != nil && !l.Up {
			found = append(found, Finding{Object: "link " + l.Name,
				What: "the host's end of " + name(a) + " is down", Remedy: "ip link set " + l.Name + " up",
				Fix: &Fix{Kind: SetUp, Name: l.Name}, about: []*observe.Attachment{a}})
		}
	}
	return found
}

// parentsDown looks at the links of the host that containers' hang on.
func (p *Picture) parentsDown() (found []Finding) {
	hang := make(map[*observe.Link][]*observe.Attachment)
	for _, a := range p.living() {
		if l := p.Host.Link(a.Link); l != nil {
			if parent := p.Host.Link(l.Parent); parent != nil && !parent.Up {
				hang[parent] = append(hang[parent], a)
			}
		}
	}
	for parent, list := range hang {
		f := Finding{Object: "link " + parent.Name, What: fmt.Sprintf("it is down; the interfaces of %d containers hang on it, that of %s for one", len(list), name(list[0])),
			Remedy: "set it up where it is", about: list}
		if p.Host.Own().Named(parent.Name) == parent {
			f.Remedy, f.Fix = "ip link set "+parent.Name+" up", &Fix{Kind: SetUp, Name: parent.Name}
		}
		found = append(found, f)
	}
	return found
}

func (p *Picture) interfacesDown() (found []Finding) {
	for _, a := range p.living() {
		if l := p.Host.Link(a.Link); l != nil && !l.Up {
			found = append(found, Finding{Object: name(a), What: l.Name + " in the container is down",
				Remedy: "nsenter --net=" + a.Netns + " ip link set " + l.Name + " up; its routes are gone with that: delete the container and add it again",
				about:  []*observe.Attachment{a}})
		}
	}
	return found
}

// detached looks for a veth pair whose network is a bridge's, and whose host end is no port.
func (p *Picture) detached() (found []Finding) {
	for _, a := range p.living() {
		l := p.Host.Link(a.HostLink)
		if l == nil || l.Master != "" || p.bridgeOf(a) == "" {
			continue
		}
		found = append(found, Finding{Object: "link " + l.Name, What: "the host's end of " + name(a) + " is the port of no bridge",
			Remedy: "ip link set " + l.Name + " master " + p.bridgeOf(a), about: []*observe.Attachment{a}})
	}
	return found
}

// bridgeOf is the bridge that the attachment was put on, or else that its network is configured with; empty for none.
func (p *Picture) bridgeOf(a *observe.Attachment) string {
	bridge := a.Promise.Bridge
	for _, s := range p.subnets() {
		if s.network == a.Network && bridge == "" {
			bridge = s.bridge
		}
	}
	return bridge
}

// gateways looks for default routes of containers on bridges to an address that the host has not.
func (p *Picture) gateways() (found []Finding) {
	for _, a := range p.living() {
		n := p.Host.Namespace(a.Namespace)
		if n == nil || p.Host.Link(a.Bridge) == nil {
			continue
		}
		for _, r := range n.Routes {
			if r.Destination.Bits() != 0 || !r.Gateway.IsValid() || r.Link != a.IfName || !p.wantsGateway(a, r.Gateway) || p.held(r.Gateway) {
				continue
			}
			bridge := p.Host.Link(a.Bridge).Name
			f := Finding{Object: name(a), What: fmt.Sprintf("the default route goes by %s, which nobody on this host has", r.Gateway),
				Remedy: fmt.Sprintf("ip addr add %s/%d dev %s", r.Gateway, bits(a, r.Gateway), bridge), cause: r.Gateway.String() + bridge,
				about: []*observe.Attachment{a}}
			if a.Remedy == plan.Repairable {
				f.Remedy, f.Fix = plan.Repairable+", or "+f.Remedy, &Fix{Kind: Repair}
			}
			found = append(found, f)
		}
	}
	return found
}

// wantsGateway says whether the address is one that the host was to have. Of what no runtime remembers, each is; a router of the LAN is not.
func (p *Picture) wantsGateway(a *observe.Attachment, gateway netip.Addr) bool {
	return a.Result == "" || slices.Contains(a.Promise.Gateways, gateway)
}

// bits is the length of the attachment's subnet that the address is in.
func bits(a *observe.Attachment, in netip.Addr) int {
	for _, text := range a.Addresses {
		if prefix, err := netip.ParsePrefix(text); err == nil && prefix.Contains(in) {
			return prefix.Bits()
		}
	}
	return in.BitLen()
}

// held says whether any namespace has the address.
func (p *Picture) held(a netip.Addr) bool {
	return slices.ContainsFunc(p.Host.Namespaces, func(n *observe.Namespace) bool { return n.Has(a) })
}

func (p *Picture) addressTwice() (found []Finding) {
	type key struct {
		bridge string
		addr   netip.Addr
	}
	first := make(map[key]*observe.Attachment)
	for _, a := range p.living() {
		for _, ip := range addresses(a) {
			k := key{a.Bridge, ip}
			if a.Bridge == "" || ip.IsLoopback() { // nobody else's, as far as is known
				continue
			}
			if other := first[k]; other != nil && other.Link != a.Link {
				found = append(found, Finding{Object: name(a),
					What: fmt.Sprintf("%s: %s has it, too", ip, name(other)), Remedy: "delete one of the two and add it again"})
				continue
			}
			first[k] = a
		}
	}
	return found
}

func (p *Picture) macTwice() (found []Finding) {
	first := make(map[[2]string]*observe.Attachment)
	for _, a := range p.living() {
		l := p.Host.Link(a.Link)
		if l == nil || l.MAC == "" || a.Bridge == "" {
			continue
		}
		k := [2]string{a.Bridge, l.MAC}
		if other := first[k]; other != nil {
			found = append(found, Finding{Object: name(a),
				What:   fmt.Sprintf("%s: %s has it, too", l.MAC, name(other)),
				Remedy: "delete one of the two and add it again"})
			continue
		}
		first[k] = a
	}
	return found
}

// mtuUplink compares with the smallest of the ways out.
func (p *Picture) mtuUplink() (found []Finding) {
	var least *observe.Link
	for _, l := range p.uplinks() {
		if least == nil || l.MTU < least.MTU {
			least = l
		}
	}
	seen := make(map[string]bool)
	for _, a := range append(p.routed(true), p.routed(false)...) {
		l := p.Host.Link(a.Link)
		if least == nil || l == nil || l.MTU <= least.MTU || seen[a.Network] {
			continue
		}
		seen[a.Network] = true
		found = append(found, Finding{Object: "network " + a.Network,
			What:   fmt.Sprintf("%s of %s has an MTU of %d, and the uplink %s of %d", l.Name, name(a), l.MTU, least.Name, least.MTU),
			Remedy: fmt.Sprintf(`write "mtu": %d in the network's configuration, and add its containers again`, least.MTU)})
	}
	return found
}

func (p *Picture) mtuPair() (found []Finding) {
	for _, a := range p.living() {
		l, host := p.Host.Link(a.Link), p.Host.Link(a.HostLink)
		if l != nil && host != nil && host.Peer == l.ID && l.MTU != host.MTU && !a.Promise.Resized {
			found = append(found, Finding{Object: name(a),
				What:   fmt.Sprintf("%s has an MTU of %d, and its other end %s of %d", l.Name, l.MTU, host.Name, host.MTU),
				Remedy: fmt.Sprintf("ip link set %s mtu %d, and %s in the container likewise", host.Name, min(l.MTU, host.MTU), l.Name),
				about:  []*observe.Attachment{a}})
		}
	}
	return found
}

// routesGone looks for containers of networks with a default gateway that have no default route.
func (p *Picture) routesGone() (found []Finding) {
	for _, a := range p.living() {
		n, l := p.Host.Namespace(a.Namespace), p.Host.Link(a.Link)
		if n == nil || l == nil || !l.Up || len(global(l)) == 0 || !p.wantsDefault(a) { // without an address it can have none, and drift says so
			continue
		}
		if !slices.ContainsFunc(n.Routes, func(r observe.Route) bool { return r.Destination.Bits() == 0 && r.Kind == "" }) {
			found = append(found, Finding{Object: name(a), What: "network " + a.Network + " gives a default route, and the container has none",
				Remedy: defaultAgain(a), about: []*observe.Attachment{a}})
		}
	}
	return found
}

// defaultAgain makes the default routes that were given.
func defaultAgain(a *observe.Attachment) string {
	for _, r := range a.Promise.Routes {
		if r.Destination.Bits() == 0 && r.Gateway.IsValid() && a.Netns != "" {
			return fmt.Sprintf("nsenter --net=%s ip route add default via %s, or delete the container and add it again", a.Netns, r.Gateway)
		}
	}
	return "delete the container and add it again"
}

// wantsDefault says whether the attachment was given a default route, or the configuration of its network has isDefaultGateway.
func (p *Picture) wantsDefault(a *observe.Attachment) bool {
	if slices.ContainsFunc(a.Promise.Routes, func(r observe.Route) bool { return r.Destination.Bits() == 0 }) {
		return true
	}
	for _, f := range p.Configs {
		for _, plugin := range f.Plugins {
			if v := plugin.Node.Get("isDefaultGateway"); f.Name == a.Network && v != nil && v.Text == "true" {
				return true
			}
		}
	}
	return false
}
