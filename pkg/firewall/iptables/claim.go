package iptables

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
)

// check says what is wrong with a claim, so that nothing later can be.
func check(c firewall.Claim) error {
	var errs []error
	seen := make(map[string]bool)
	once := func(title string) {
		if seen[title] {
			errs = append(errs, fmt.Errorf("%s: listed twice", title))
		}
		seen[title] = true
	}
	for _, m := range c.Masq {
		once("address " + m.Addr.String())
		if !plain(m.Addr) || m.Subnet != m.Subnet.Masked() || !m.Subnet.Contains(m.Addr) {
			errs = append(errs, fmt.Errorf("address %s with subnet %s: must be a plain address in a masked subnet", m.Addr, m.Subnet))
		}
	}
	errs = append(errs, checkExcept(c)...)
	for _, a := range c.Pass {
		once("address " + a.String())
		if !plain(a) {
			errs = append(errs, fmt.Errorf("address %s: must be a plain one", a))
		}
	}
	for _, p := range c.Ports {
		if len(p.Conditions) > 0 {
			return fault.New(fault.Unsupported, "choose the backend iptables by its key, so that it gets the conditions in its own words",
				"%s: conditions: not for iptables where it was not chosen", title(p))
		}
		once(title(p))
		if err := checkPort(p); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", title(p), err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fault.New(fault.Config, "mend the claim", "%s: %w", c.Role, err)
	}
	return nil
}

func checkExcept(c firewall.Claim) (errs []error) {
	for _, m := range c.Masq {
		for _, p := range m.Except {
			if !p.IsValid() || p != p.Masked() || p.Addr().Is4() != m.Addr.Is4() {
				errs = append(errs, fmt.Errorf("address %s except %s: must be masked and of the address' family", m.Addr, p))
			}
		}
	}
	return errs
}

// plain says whether an address can be a container's.
func plain(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.Is4In6() && a.Zone() == ""
}

func checkPort(p firewall.Port) error {
	target := p.Target.Addr()
	switch {
	case !plain(target) || p.Target.Port() == 0 || p.HostPort == 0:
		return fmt.Errorf("target %s: must be a plain address, and both ports from 1 to 65535", p.Target)
	case firewall.ProtocolName(p.Protocol) == "":
		return fmt.Errorf("protocol %d: must be tcp, udp or sctp", p.Protocol)
	case p.HostIP.IsValid() && (p.HostIP.Is4() != target.Is4() || p.HostIP.Zone() != ""):
		return fmt.Errorf("target %s: must be of the family of the host's address", target)
	case p.Subnet.IsValid() && (p.Subnet != p.Subnet.Masked() || !p.Subnet.Contains(target)):
		return fmt.Errorf("subnet %s: must be masked and contain %s", p.Subnet, target)
	}
	return nil
}

// hostIP returns the address that a port is restricted to; the zero Addr where it is not.
func hostIP(p firewall.Port) netip.Addr {
	if p.HostIP.IsUnspecified() {
		return netip.Addr{}
	}
	return p.HostIP
}

// title is a published port to people.
func title(p firewall.Port) string {
	ip := hostIP(p)
	switch {
	case ip.IsValid():
		return fmt.Sprintf("host port %s/%s", netip.AddrPortFrom(ip, p.HostPort), firewall.ProtocolName(p.Protocol))
	case p.Target.Addr().Is6():
		return fmt.Sprintf("host port [::]:%d/%s", p.HostPort, firewall.ProtocolName(p.Protocol))
	}
	return fmt.Sprintf("host port %d/%s", p.HostPort, firewall.ProtocolName(p.Protocol))
}

// part returns what of the claim is the family's.
func part(f family, c firewall.Claim) firewall.Claim {
	c.Masq = slices.DeleteFunc(slices.Clone(c.Masq), func(m firewall.Masq) bool { return !f.has(m.Addr) })
	c.Ports = slices.DeleteFunc(slices.Clone(c.Ports), func(p firewall.Port) bool { return !f.has(p.Target.Addr()) })
	c.Pass = slices.DeleteFunc(slices.Clone(c.Pass), func(a netip.Addr) bool { return !f.has(a) })
	c.Told = slices.DeleteFunc(slices.Clone(c.Told), func(a netip.Addr) bool { return !f.has(a) })
	c.Bare = slices.DeleteFunc(slices.Clone(c.Bare), func(b firewall.Bare) bool { return !f.has(b.Addr) })
	return c
}

// addrs returns the container's addresses in the claim, each once.
func addrs(c firewall.Claim) (list []netip.Addr) {
	for _, m := range c.Masq {
		list = append(list, m.Addr)
	}
	list = append(list, c.Pass...)
	for _, b := range c.Bare {
		list = append(list, b.Addr)
	}
	for _, p := range c.Ports {
		if !slices.Contains(list, p.Target.Addr()) {
			list = append(list, p.Target.Addr())
		}
	}
	return list
}
