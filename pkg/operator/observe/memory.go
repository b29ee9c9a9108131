package observe

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/operator/conflist"
	"github.com/trestle-cni/trestle/pkg/operator/known"
)

// Promise is what an attachment was given, by what its runtime remembers: what must be there while it lives, in as far as a name or an
// address tells it.
type Promise struct {
	Bridge    string       // that its host link is a port of; empty for other kinds
	Addresses []netip.Addr // of the container
	Gateways  []netip.Addr // that the host has for it
	Routes    []Route      // of the container: destination, and gateway if it has one
	Ports     []Port       // published; their targets are not told
	Masked    bool         // it leaves with the host's address
	Resized   bool         // its end has an MTU of its own
	Apart     bool         // a plugin of one of our names made it, without another end on the host
	Settings  []known.Setting
}

// memory is what a runtime remembers of an attachment, as far as it can be compared with what is there.
type memory struct {
	Promise
	plugins   []known.Plugin // those in one that runs a list, too
	gateway   bool           // the bridge is one
	reserves  bool           // its addresses are reserved in files
	addresses []string
	hostLinks []string
	hostNames []string // of all interfaces of the result that are on the host
	device    bool     // the result has an interface in a sandbox
	addressed []string // those of them that have an Ethernet address: a program may drive others past the kernel
}

// lists says whether one of the plugins is such a one.
func (m *memory) lists(is func(known.Plugin) bool) bool { return slices.ContainsFunc(m.plugins, is) }

func runsList(p known.Plugin) bool       { return p.Part == known.List }
func unmarked(p known.Plugin) bool       { return p.Unmarked }
func makesInterface(p known.Plugin) bool { return p.Part == known.Interface && !p.Unmarked }

// has says whether the address was given.
func (m *memory) has(a netip.Addr) bool { return slices.Contains(m.Addresses, a) }

// answer is a result, as far as it matters here.
type answer struct {
	IPs        []struct{ Address, Gateway string }
	Interfaces []struct{ Name, Mac, Sandbox string }
	Routes     []struct{ Dst, GW string }
}

func remember(e cache.Entry) *memory {
	m := &memory{hostLinks: e.HostLinks()}
	m.add(conflist.Parse(e.Network, e.List).Root, e.Capabilities) // what cannot be read is not compared
	for _, p := range m.plugins {
		if p.Publishes != "" {
			m.addPorts(e.Capabilities[p.Publishes])
		}
	}
	var result answer
	_ = json.Unmarshal(e.Result, &result)
	m.addResult(result)
	m.Apart = m.device && len(m.hostLinks) == 0 && m.lists(makesInterface)
	return m
}

// add takes what an entry says, and those in it.
func (m *memory) add(entry *conflist.Node, capabilities map[string]json.RawMessage) {
	if kind := known.Type(entry); kind != "" {
		m.plugins = append(m.plugins, known.Of(kind))
		m.Masked = m.Masked || known.Masquerades(entry)
		m.Settings = append(m.Settings, known.SettingsOf(entry, capabilities)...)
		m.Resized = m.Resized || known.ResizedBy(entry)
		m.reserves = m.reserves || known.Reserves(entry)
		m.gateway = m.gateway || known.GatewayOf(entry)
		m.Bridge = cmp.Or(m.Bridge, known.BridgeOf(entry))
	}
	for _, inner := range known.Inner(entry) {
		m.add(inner, capabilities)
	}
}

func (m *memory) addPorts(text json.RawMessage) {
	var asked []struct {
		HostPort         uint16
		Protocol, HostIP string
	}
	_ = json.Unmarshal(text, &asked)
	for _, p := range asked {
		if p.HostPort == 0 {
			continue
		}
		at, _ := netip.ParseAddr(p.HostIP) // none: every address
		m.Ports = append(m.Ports, Port{Protocol: cmp.Or(strings.ToLower(p.Protocol), "tcp"), HostPort: p.HostPort, HostIP: at})
	}
}

func (m *memory) addResult(result answer) {
	for _, ip := range result.IPs {
		m.addresses = append(m.addresses, ip.Address)
		if prefix, err := netip.ParsePrefix(ip.Address); err == nil {
			m.Addresses = append(m.Addresses, prefix.Addr())
		}
		if a, err := netip.ParseAddr(ip.Gateway); err == nil && m.gateway && !slices.Contains(m.Gateways, a) {
			m.Gateways = append(m.Gateways, a)
		}
	}
	for _, link := range result.Interfaces {
		m.device = m.device || link.Sandbox != ""
		switch {
		case link.Sandbox == "":
			m.hostNames = append(m.hostNames, link.Name)
		case link.Mac != "":
			m.addressed = append(m.addressed, link.Name)
		}
	}
	for _, route := range result.Routes {
		if dst, err := netip.ParsePrefix(route.Dst); err == nil {
			via, _ := netip.ParseAddr(route.GW)
			m.Routes = append(m.Routes, Route{Destination: dst.Masked(), Gateway: via})
		}
	}
}
