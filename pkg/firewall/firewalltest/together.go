package firewalltest

import (
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
	h.hold(a(), one, true)
	_, err := h.Hold(h.Context(), a(), publish(port(tcp, 8080, "10.1.0.2:85")), nil)
	h.wantCode(err, fault.Config, "host port 8080/tcp", "10.1.0.2:80", "10.1.0.2:85")
	h.must(h.Held(h.Context(), a(), one))
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
