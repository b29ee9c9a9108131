package portmap

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/condition"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/host"
	"github.com/trestle-cni/trestle/pkg/firewall/iptables"
	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// Config is a network's configuration of published ports, with the ports of one call, whole and valid. README.md explains each key.
type Config struct {
	Filter   host.Choice
	SNAT     firewall.SNAT
	Mappings []Mapping

	Conditions4, Conditions6 [][]firewall.Condition // ways in which the conditions of a family hold; empty: there are none
}

// Mapping is one published port as the runtime asked for it.
type Mapping struct {
	Protocol      uint8 // IANA number
	HostIP        netip.Addr
	HostPort      uint16
	ContainerPort uint16
}

// Parse reads the configuration, and complains of all that is wrong with it at once.
func Parse(req *plugin.Request) (Config, error) {
	k := req.Keys
	c := Config{Filter: parseBackend(k), SNAT: parseSNAT(k)}
	chosen := condition.Dialect(c.Filter.Backend)
	c.Conditions4 = parseConditions(k, "conditionsV4", true, chosen)
	c.Conditions6 = parseConditions(k, "conditionsV6", false, chosen)
	for _, m := range k.Object("runtimeConfig").Objects("portMappings") {
		c.Mappings = append(c.Mappings, parseMapping(m))
		c.Filter.IPTables.Asked = append(c.Filter.IPTables.Asked, iptables.Asked{Protocol: m.String("protocol", ""), Port: c.Mappings[len(c.Mappings)-1].HostPort})
		c.rejectDeaf(m)
	}
	return c, k.Err()
}

func parseSNAT(k *keys.Object) firewall.SNAT {
	snat, all := k.Bool("snat", true), k.Bool("masqAll", false)
	switch {
	case snat && all:
		return firewall.SNATAll
	case snat:
		return firewall.SNATHairpin
	}
	return firewall.SNATNone
}

func parseMapping(m *keys.Object) Mapping {
	for _, key := range []string{"hostPort", "containerPort"} {
		if !m.Has(key) {
			m.Reject(key, nil, "must be a whole number from 1 to 65535")
		}
	}
	return Mapping{
		Protocol:      parseProtocol(m),
		HostIP:        m.Addr("hostIP"),
		HostPort:      uint16(m.Int("hostPort", 0, 1, 65535)),
		ContainerPort: uint16(m.Int("containerPort", 0, 1, 65535)),
	}
}

func parseProtocol(m *keys.Object) uint8 {
	name := m.String("protocol", "")
	switch strings.ToLower(name) {
	case "tcp":
		return unix.IPPROTO_TCP
	case "udp":
		return unix.IPPROTO_UDP
	case "sctp":
		return unix.IPPROTO_SCTP
	}
	m.Reject("protocol", name, "must be tcp, udp or sctp")
	return 0
}

// rejectDeaf complains of a port of the host's loopback that nobody would get an answer from: its clients must be masqueraded.
func (c Config) rejectDeaf(m *keys.Object) {
	if ip := c.Mappings[len(c.Mappings)-1].HostIP; ip.IsLoopback() && c.SNAT == firewall.SNATNone {
		m.Reject("hostIP", ip, "cannot be reached with snat false: clients on the loopback get no answer without it")
	}
}

// leading returns the mappings that hold for the family, and tells of those of which an earlier one leads the same packets elsewhere: the first counts, as in the reference.
// The same mapping twice is one.
func (c Config) leading(is4 bool) (list []Mapping, hidden []string) {
	seen := make(map[Mapping]uint16) // by all but where they lead
	for _, m := range c.Mappings {
		ip, holds := m.on(is4)
		m.HostIP = ip
		from := m
		from.ContainerPort = 0
		to, twice := seen[from]
		switch {
		case !holds:
		case !twice:
			seen[from] = m.ContainerPort
			list = append(list, m)
		case to != m.ContainerPort:
			hidden = append(hidden, fmt.Sprintf("host port %d: leads to port %d by an earlier mapping, and not to %d", m.HostPort, to, m.ContainerPort))
		}
	}
	return list, hidden
}

// on says whether the mapping holds for the family, and on which address of the host: the zero Addr is every one. An unspecified
// hostIP (0.0.0.0, ::) restricts the family alone.
func (m Mapping) on(is4 bool) (netip.Addr, bool) {
	switch {
	case !m.HostIP.IsValid():
		return netip.Addr{}, true
	case m.HostIP.Is4() != is4:
		return netip.Addr{}, false
	case m.HostIP.IsUnspecified():
		return netip.Addr{}, true
	}
	return m.HostIP, true
}
