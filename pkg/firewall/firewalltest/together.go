package firewalltest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
)

// together asks that an owner may claim twice in a role that is shared: he has what both want, each is held for itself, whichever is made again brings back its part,
// and one Drop without values leaves nothing.
func together(h *host) {
	one := publish(port(tcp, 8080, "10.1.0.2:80"), port(tcp, 8081, "10.1.0.2:81"))
	two := publish(port(tcp, 8080, "10.1.0.2:80"), port(udp, 53, "10.1.0.2:53"), port(tcp, 8080, "[fd00::2]:80"))
	two.Ports[0].SNAT = firewall.SNATAll
	for _, claims := range [][2]firewall.Claim{{one, two}, {two, one}, {passing("10.1.0.2", "fd00::2"), passing("10.1.0.2")}} {
		role := claims[0].Role
		h.hold(a(), claims[0], true)
		_, err := h.Hold(h.Context(), a(), claims[1], nil)
		h.must(err)
		for _, c := range claims {
			h.hold(a(), c, false)
			h.must(h.Held(h.Context(), a(), c))
		}
		h.must(h.Drop(h.Context(), a(), claims[1]))
		h.holds(a(), role, false)
		for _, c := range claims {
			h.gone(a(), c)
		}
	}
}

// restored asks that what a second claim has made can be taken back, and that the first is held as it was.
func restored(h *host) {
	eighty := port(tcp, 8080, "10.1.0.2:80")
	all := eighty
	all.SNAT = firewall.SNATAll
	for name, claims := range map[string][2]firewall.Claim{
		"another port":  {publish(eighty), publish(port(udp, 53, "10.1.0.2:53"), port(tcp, 8080, "[fd00::2]:80"))},
		"more of it":    {publish(eighty), publish(eighty, port(tcp, 8081, "10.1.0.2:80"))},
		"more clients":  {publish(eighty), publish(all)},
		"elsewhere":     {publish(eighty), publish(port(tcp, 8080, "10.1.0.2:85"))},
		"what is there": {publish(eighty), publish(eighty)},
		"an address":    {passing("10.1.0.2"), passing("10.1.0.2", "10.1.0.3", "fd00::2")},
	} {
		h.Run(name, func(t *testing.T) {
			s := &host{T: t, Backend: h.Backend, Filter: h.Filter}
			restorer, role := s.Filter.(firewall.Restorer), claims[0].Role
			s.hold(a(), claims[0], true)
			if done, err := restorer.Restore(t.Context(), a(), role); done || err != nil {
				t.Errorf("of the first claim: %t, %v", done, err)
			}
			_, err := s.Hold(t.Context(), a(), claims[1], nil)
			s.must(err)
			_, err = restorer.Restore(t.Context(), a(), role)
			s.must(err)
			s.hold(a(), claims[0], false) // his only one again
			claims[0].First = true
			s.hold(a(), claims[0], false)
			s.must(s.Drop(t.Context(), a(), empty(role)))
			s.gone(a(), claims[1])
		})
	}
}

// surplus asks that what an owner holds beside his only claim is named, and taken away by whoever knows that there is no other.
func surplus(h *host) {
	more, less := publish(port(tcp, 8080, "10.1.0.2:80"), port(udp, 53, "10.1.0.2:53")), publish(port(tcp, 8080, "10.1.0.2:80"))
	h.hold(a(), more, true)
	h.wantCode(h.Held(h.Context(), a(), less), fault.Drift, "host port 53/udp", "expected nothing", "10.1.0.2:53")
	less.First = true
	h.hold(a(), less, true)
	h.wantCode(h.Held(h.Context(), a(), more), fault.Drift, "host port 53/udp", "found nothing")
	elsewhere := publish(port(tcp, 8080, "10.1.0.2:85"))
	elsewhere.First = true
	h.hold(a(), elsewhere, true)
	h.must(h.Drop(h.Context(), a(), less))
	h.gone(a(), elsewhere)
}

// earlier asks that a port which two claims of an owner lead to two places leads to the first, whatever else they have in common, and that this is told.
func earlier(h *host) {
	plain := func(c firewall.Claim) firewall.Claim {
		for i := range c.Ports {
			c.Ports[i].SNAT = firewall.SNATNone
		}
		return c
	}
	eighty, other := port(tcp, 8080, "10.1.0.2:80"), port(tcp, 8080, "10.1.0.2:85")
	for name, claims := range map[string][2]firewall.Claim{
		"alone":       {publish(eighty), publish(other)},
		"without":     {plain(publish(eighty)), plain(publish(other))},
		"among":       {publish(eighty, port(tcp, 8081, "10.1.0.2:85")), publish(other, port(udp, 53, "10.1.0.2:53"))},
		"one address": {publish(on("192.0.2.1", eighty)), publish(on("192.0.2.1", other), other)},
		"IPv6":        {publish(port(udp, 53, "[fd00::2]:53")), publish(port(udp, 53, "[fd00::2]:54"), eighty)},
	} {
		h.Run(name, func(t *testing.T) {
			s := &host{T: t, Backend: h.Backend, Filter: h.Filter}
			var told []string
			tell := firewall.Telling(t.Context(), func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) })
			s.hold(a(), claims[0], true)
			_, err := s.Hold(tell, a(), claims[1], nil)
			s.must(err)
			if len(told) != 1 || !strings.Contains(told[0], "by an earlier ADD") || !strings.Contains(told[0], claims[1].Ports[0].Target.String()) {
				t.Errorf("told %q", told)
			}
			again := claims[0]
			again.First = true
			for _, c := range []firewall.Claim{claims[0], claims[1], again} {
				s.hold(a(), c, false)
			}
			p, err := s.Filter.(firewall.Publisher).Published(t.Context(), a(), empty(firewall.Publish))
			s.must(err)
			if !slices.ContainsFunc(p, func(p firewall.Port) bool { return p.Target == claims[0].Ports[0].Target }) {
				t.Errorf("published is %v", p)
			}
			s.must(s.Drop(t.Context(), a(), claims[1]))
			s.gone(a(), claims[0])
		})
	}
}

// lives asks that a filter tells which life of a container a claim is of, and forgets it with the claim.
func lives(h *host) {
	for _, c := range []firewall.Claim{publish(port(tcp, 8080, "10.1.0.2:80")), passing("10.1.0.2")} {
		for _, c.Life = range []string{"first", "second"} {
			h.hold(a(), c, true)
			h.hold(a(), c, false)
			c := c
			c.Life = "" // whoever does not know it leaves it as it is
			h.hold(a(), c, false)
			h.must(h.Held(h.Context(), a(), c))
		}
		holders, err := h.Holdings(h.Context(), a(), c.Role)
		h.must(err)
		if len(holders) != 1 || holders[0].Life != "second" || holders[0].Linked {
			h.Errorf("%s: held as %+v", c.Role, holders)
		}
		h.must(h.Drop(h.Context(), a(), empty(c.Role)))
		h.hold(a(), c, true) // at once, while what was dropped is still to be seen
		if holders, err := h.Holdings(h.Context(), a(), c.Role); err != nil || len(holders) != 1 || holders[0].Life != "second" {
			h.Errorf("%s, made again at once: held as %+v, %v", c.Role, holders, err)
		}
		h.must(h.Drop(h.Context(), a(), empty(c.Role)))
		c.Life = ""
		h.hold(a(), c, true)
		if holders, err := h.Holdings(h.Context(), a(), c.Role); err != nil || len(holders) != 1 || holders[0].Life != "" {
			h.Errorf("%s, made anew: held as %+v, %v", c.Role, holders, err)
		}
		h.must(h.Drop(h.Context(), a(), c))
	}
}
