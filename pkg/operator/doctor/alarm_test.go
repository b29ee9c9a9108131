package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/trestle-cni/trestle/pkg/operator/conflist"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
)

// TestNoFalseAlarm has hosts on which nothing is wrong: pods with a loopback each, as a runtime of Kubernetes has them, and networks that do not
// lead out, whatever the way out is like.
func TestNoFalseAlarm(t *testing.T) {
	for name, prepare := range map[string]func(w *world){
		"addresses of the LAN": func(w *world) {
			w.configure("lan", `{"type": "macvlan", "master": "uplink", "ipam": {"type": "host-local", "subnet": "192.0.2.0/24", "rangeStart": "192.0.2.100", "rangeEnd": "192.0.2.119"}}`)
			w.configure("lan2", `{"type": "ipvlan", "master": "uplink", "ipam": {"type": "host-local", "subnet": "192.0.2.0/24", "rangeStart": "192.0.2.120", "rangeEnd": "192.0.2.139"}}`)
			w.configure("lan3", `{"type": "macvlan", "ipam": {"type": "host-local", "subnet": "192.0.2.0/24", "rangeStart": "192.0.2.140"}}`)
		},
		"parts of a bridge's subnet": func(w *world) {
			w.configure("one", `{"type": "bridge", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.99"}}`)
			w.configure("two", `{"type": "bridge", "bridge": "cni0", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24", "rangeStart": "10.1.0.100"}}`)
		},
		"loopbacks": func(w *world) {
			w.attach("cni-loopback", "c1", "lo", "", "127.0.0.1/8", "::1/128").MTU = 65536
			w.attach("cni-loopback", "c2", "lo", "", "127.0.0.1/8", "::1/128").MTU = 65536
			w.attach("net", "c1", "eth0", "cni0", "10.1.0.2/24")
			w.attach("net", "c2", "eth0", "cni0", "10.1.0.3/24")
		},
		"one address in two networks of devices": func(w *world) {
			w.attach("dummy", "c1", "dummy0", "", "10.9.0.1/32")
			w.attach("dummy", "c2", "dummy0", "", "10.9.0.1/32")
		},
		"a network without a gateway, of large frames": func(w *world) {
			w.attach("wire", "c1", "eth1", "wire0", "10.2.0.2/24").MTU = 9000
			w.leadsOut("c1", "eth0", "10.1.0.1") // its way out is by another
		},
		"a network whose gateway is the LAN's": func(w *world) {
			w.attach("lan", "c1", "eth0", "lan0", "192.0.2.77/24").MTU = 9000
			w.leadsOut("c1", "eth0", "192.0.2.254")
			w.Host.Attachments[0].Result = "/var/lib/cni/results/lan-c1-eth0"
		},
		"strict reverse paths on a bridge without an address": func(w *world) {
			w.attach("wire", "c1", "eth0", "wire0", "10.2.0.2/24")
			w.Host.Own().Sysctls["ipv4/conf/wire0/rp_filter"] = "1"
		},
		"an unused link": func(w *world) {
			w.attach("net", "c1", "eth0", "cni0", "10.1.0.2/24")
			w.leadsOut("c1", "eth0", "10.1.0.1")
			w.link("spare", "device", false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			prepare(w)
			for _, f := range w.Examine() {
				t.Errorf("%s: %s: %s", f.ID, f.Object, f.What)
			}
		})
	}
}

// world is a healthy host in the making: an uplink with a default route, and a bridge with a gateway.
type world struct{ *Picture }

func newWorld() *world {
	own := &observe.Namespace{ID: "netns/host", Name: "host", Host: true, Sysctls: map[string]string{"ipv4/ip_forward": "1"}}
	w := &world{&Picture{Host: &observe.Host{Namespaces: []*observe.Namespace{own}}}}
	w.link("uplink", "device", true, "192.0.2.1/24")
	w.link("cni0", "bridge", true, "10.1.0.1/24")
	own.Routes = []observe.Route{{Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.2"), Link: "uplink", Table: 254},
		{Destination: netip.MustParsePrefix("192.0.2.0/24"), Link: "uplink", Table: 254}, {Destination: netip.MustParsePrefix("10.1.0.0/24"), Link: "cni0", Table: 254}}
	return w
}

func addressed(l *observe.Link, texts []string) {
	for _, text := range texts {
		p := netip.MustParsePrefix(text)
		scope := map[bool]string{true: "host", false: "global"}[p.Addr().IsLoopback()]
		l.Addresses = append(l.Addresses, observe.Address{Prefix: p, Scope: scope})
	}
}

func (w *world) link(name, kind string, up bool, addresses ...string) *observe.Link {
	own := w.Host.Own()
	l := &observe.Link{ID: own.ID + "/" + name, Name: name, Kind: kind, MTU: 1500, Up: up, Running: up, Index: len(own.Links) + 2}
	addressed(l, addresses)
	own.Links = append(own.Links, l)
	return l
}

// configure adds a network of one plugin, which is there.
func (w *world) configure(name, plugin string) {
	f := conflist.Parse("/etc/cni/net.d/"+name+".conflist", []byte(`{"cniVersion": "1.0.0", "name": "`+name+`", "plugins": [`+plugin+`]}`))
	w.Configs = append(w.Configs, f)
	w.Plugins = map[string]Plugin{"host-local": {Executable: true}}
	for _, f := range w.Configs {
		w.Plugins[f.Plugins[0].Type] = Plugin{Executable: true}
	}
}

// Overlaps that hurt are told: of ranges on one wire that have addresses in common, of subnets on two, of a link's with what hangs on it by a tag, and of another link's.
func TestOverlaps(t *testing.T) {
	for plugins, want := range map[[2]string]string{
		{`{"type": "macvlan", "master": "uplink", "ipam": {"type": "host-local", "subnet": "192.0.2.0/24", "rangeStart": "192.0.2.100"}}`,
			`{"type": "ipvlan", "master": "uplink", "ipam": {"type": "host-local", "subnet": "192.0.2.0/24", "rangeStart": "192.0.2.150"}}`}: "subnet-overlap-network",
		{`{"type": "bridge", "bridge": "br1", "ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "rangeEnd": "10.9.0.99"}}`,
			`{"type": "bridge", "bridge": "br2", "ipam": {"type": "host-local", "subnet": "10.9.0.0/24", "rangeStart": "10.9.0.100"}}`}: "subnet-overlap-network",
		{`{"type": "vlan", "master": "uplink", "vlanId": 5, "ipam": {"type": "host-local", "subnet": "192.0.2.0/24"}}`, ""}: "subnet-overlap-uplink",
		{`{"type": "macvlan", "master": "second", "ipam": {"type": "host-local", "subnet": "192.0.2.0/24"}}`, ""}:           "subnet-overlap-uplink",
		{`{"type": "ptp", "ipam": {"type": "host-local", "subnet": "192.0.2.0/24"}}`, ""}:                                   "subnet-overlap-uplink",
	} {
		w := newWorld()
		for i, plugin := range plugins {
			if plugin != "" {
				w.configure(fmt.Sprint("net", i), plugin)
			}
		}
		if found := w.Examine(); len(found) != 1 || found[0].ID != want {
			t.Errorf("%v: %+v, want %s", plugins, found, want)
		}
	}
}

// namespace is the container's, made where there is none. A host in the making is not asked: who asks has it whole.
func (w *world) namespace(container string) *observe.Namespace {
	for _, n := range w.Host.Namespaces {
		if n.Name == container {
			return n
		}
	}
	n := &observe.Namespace{ID: "netns/" + container, Name: container}
	w.Host.Namespaces = append(w.Host.Namespaces, n)
	return n
}

// attach makes an attachment: a pair to the bridge, or an interface alone where none is named.
func (w *world) attach(network, container, ifName, bridge string, addresses ...string) *observe.Link {
	n := w.namespace(container)
	l := &observe.Link{ID: n.ID + "/" + ifName, Name: ifName, MTU: 1500, Up: true, Running: true}
	addressed(l, addresses)
	n.Links = append(n.Links, l)
	a := &observe.Attachment{ID: network + "/" + container + "/" + ifName, Network: network, ContainerID: container, IfName: ifName, State: observe.Whole,
		Namespace: n.ID, Link: l.ID, Addresses: addresses}
	if bridge != "" {
		if !slices.ContainsFunc(w.Host.Own().Links, func(l *observe.Link) bool { return l.Name == bridge }) {
			w.link(bridge, "bridge", true)
		}
		a.Bridge = "netns/host/" + bridge
	}
	w.Host.Attachments = append(w.Host.Attachments, a)
	return l
}

func (w *world) leadsOut(container, link, gateway string) {
	n := w.namespace(container)
	n.Routes = append(n.Routes, observe.Route{Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr(gateway), Link: link, Table: 254})
}

// One cause is one finding, and a remedy whose values are known has them.
func TestOneCause(t *testing.T) {
	w := newWorld()
	for i, id := range []string{"c1", "c2", "c3"} {
		address := netip.AddrFrom4([4]byte{10, 1, 0, byte(i + 2)}).String()
		w.attach("net", id, "eth0", "cni0", address+"/24")
		a := w.Host.Attachments[i]
		a.State, a.Why = observe.Broken, []string{"bridge: masquerade: packet filter: masqueraded address " + address + ": expected it for " + a.ID + ", found nothing"}
		a.Remedy = "trestle repair"
	}
	found := w.Examine()
	if len(found) != 1 || found[0].ID != "drift" || found[0].Fix == nil {
		t.Errorf("a swept set: %+v, want one finding with a fix", found)
	}
	for _, a := range w.Host.Attachments {
		w.leadsOut(a.ContainerID, "eth0", "10.1.0.1")
		a.State, a.Why, a.Remedy = observe.Whole, nil, ""
	}
	w.Host.Own().Named("cni0").Addresses = nil
	found = w.Examine()
	if len(found) != 1 || found[0].Remedy != "ip addr add 10.1.0.1/24 dev cni0" {
		t.Errorf("a gateway that is gone: %+v, want one finding with the address", found)
	}
}
