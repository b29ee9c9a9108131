package main

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
)

// home is where a pod lives: its namespace, and its addresses there.
type home struct {
	namespace, four, six string
}

// moved returns a pod's home: eth0 with one address of each family, and the routes that the conflist wants.
func moved(p *Pod) (h home, err error) {
	if h.namespace, err = p.namespace(); err != nil {
		return h, err
	}
	return h, in(h.namespace, func() error { return h.look() })
}

func (h *home) look() error {
	link, err := netlink.LinkByName("eth0")
	if err != nil {
		return fmt.Errorf("eth0: %w", err)
	}
	list, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	for _, address := range list {
		switch {
		case address.IP.IsLinkLocalUnicast():
		case address.IP.To4() != nil:
			h.four = address.IP.String()
		default:
			h.six = address.IP.String()
		}
	}
	if !strings.HasPrefix(h.four, "10.85.") || !strings.HasPrefix(h.six, "fd00:85::") {
		return fmt.Errorf("eth0 has %v, want one address of 10.85.0.0/16 and one of fd00:85::/64", list)
	}
	for family, to := range map[int]string{netlink.FAMILY_V4: "192.0.2.2", netlink.FAMILY_V6: "2001:db8::2"} {
		routes, err := netlink.RouteGet(net.ParseIP(to))
		if err != nil || len(routes) == 0 || routes[0].Gw == nil {
			return fmt.Errorf("no route by a gateway to %s (family %d): %w", to, family, err)
		}
	}
	return nil
}

// pair starts two pods.
func (t *Trial) pair(host uint16) (a, b *Pod, x, y home, err error) {
	a, err1 := t.pod(host)
	b, err2 := t.pod(0)
	if err := errors.Join(err1, err2); err != nil {
		return a, b, x, y, err
	}
	x, err1 = moved(a)
	y, err2 = moved(b)
	return a, b, x, y, errors.Join(err1, err2)
}

// serving wants the pod to answer the host.
func serving(p *Pod) error {
	h, err := moved(p)
	if err != nil {
		return err
	}
	return eventually(func() error { return asks("", "tcp", h.four+":8080", p.Name+" sees 10.85.0.1") })
}

var networks = []string{"tcp", "udp"}

func addressed(t *Trial) error {
	p, err := t.pod(0)
	if err != nil {
		return err
	}
	if _, err := moved(p); err != nil {
		return err
	}
	return t.gone(p)
}

func loopback(t *Trial) error {
	p, err := t.pod(0)
	if err != nil {
		return err
	}
	if err := serving(p); err != nil {
		return err
	}
	namespace, err := p.namespace()
	if err != nil {
		return err
	}
	return errors.Join(asks(namespace, "tcp", "127.0.0.1:8080", p.Name+" sees 127.0.0.1"), asks(namespace, "tcp", "[::1]:8080", p.Name+" sees ::1"))
}

func podToPod(t *Trial) error {
	a, b, x, y, err := t.pair(0)
	if err != nil {
		return err
	}
	errs := []error{serving(a), serving(b)}
	for _, network := range networks {
		errs = append(errs,
			asks(x.namespace, network, y.four+":8080", b.Name+" sees "+x.four), asks(x.namespace, network, "["+y.six+"]:8080", b.Name+" sees "+x.six),
			asks(y.namespace, network, x.four+":8080", a.Name+" sees "+y.four), asks(y.namespace, network, "["+x.six+"]:8080", a.Name+" sees "+y.six))
	}
	return errors.Join(errs...)
}

func podToOutside(t *Trial) error {
	p, err := t.pod(0)
	if err != nil {
		return err
	}
	h, err := moved(p)
	if err != nil {
		return err
	}
	var errs []error
	for _, network := range networks {
		errs = append(errs, asks(h.namespace, network, outside4+":8080", "outside sees "+host4),
			asks(h.namespace, network, "["+outside6+"]:8080", "outside sees "+host6))
	}
	return errors.Join(errs...)
}

// published starts a pod behind a port of the host, and asks it from a namespace at the host's addresses.
func published(from string, to []string, want func(home) []string) func(*Trial) error {
	return func(t *Trial) error {
		p, err := t.pod(18080)
		if err != nil {
			return err
		}
		if err := serving(p); err != nil {
			return err
		}
		h, err := moved(p)
		if err != nil {
			return err
		}
		client := from
		if from == "pod" {
			client = h.namespace
		}
		var errs []error
		for i, address := range to {
			for _, network := range networks {
				errs = append(errs, asks(client, network, net.JoinHostPort(address, "18080"), p.Name+" sees "+want(h)[i]))
			}
		}
		return errors.Join(errs...)
	}
}
