package firewalltest

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// every is one claim of each kind.
func every() map[string]firewall.Claim {
	all := port(tcp, 8443, "10.1.0.2:443")
	all.SNAT = firewall.SNATAll
	plain := port(udp, 53, "10.1.0.2:53")
	plain.SNAT, plain.Subnet = firewall.SNATNone, netip.Prefix{}
	return map[string]firewall.Claim{
		"masquerade v4":   masq("10.1.0.2/24"),
		"masquerade both": masq("10.1.0.2/24", "fd00::2/64"),
		"exceptions":      except(masq("10.1.0.2/24"), "172.16.0.0/12", "172.16.0.0/16", "10.1.0.0/16", "10.1.0.0/24", "172.16.0.0/12"),
		"all excepted":    except(masq("fd00::2/64"), "::/0"),
		"tcp":             publish(port(tcp, 8080, "10.1.0.2:80")),
		"three protocols": publish(port(tcp, 53, "10.1.0.2:53"), port(udp, 53, "10.1.0.2:53"), port(sctp, 53, "10.1.0.2:53")),
		"both families":   publish(port(tcp, 8080, "10.1.0.2:80"), port(tcp, 8080, "[fd00::2]:80")),
		"one target":      publish(port(tcp, 8080, "10.1.0.2:80"), port(tcp, 8081, "10.1.0.2:80")),
		"specific":        publish(on("192.0.2.1", port(udp, 53, "10.1.0.2:53")), on("2001:db8::1", port(udp, 53, "[fd00::2]:53"))),
		"all clients":     publish(all),
		"no clients":      publish(plain),
		"antispoof":       spoof("veth0123456789a", 2, 0, 0, 0, 0, 1),
	}
}

// claims puts each kind of claim through its life.
func claims(h *host) {
	for name, c := range every() {
		h.Run(name, func(t *testing.T) {
			s := &host{T: t, Backend: h.Backend, Filter: h.Filter}
			s.wantCode(s.Held(t.Context(), a(), c), fault.Drift)
			s.hold(a(), c, true)
			s.hold(a(), c, false)
			s.holds(a(), c.Role, true)
			s.must(s.Drop(t.Context(), a(), c))
			s.gone(a(), c)
			s.must(s.Drop(t.Context(), a(), c))
		})
	}
}

// hold asks whether roles and owners are independent of each other.
func hold(h *host) {
	h.must(h.Ready(h.Context()))
	m, p := masq("10.1.0.2/24"), publish(port(tcp, 8080, "10.1.0.2:80"))
	h.hold(a(), m, true)
	h.hold(a(), p, true)
	h.hold(b(), masq("10.1.0.3/24"), true)
	h.must(h.Grounded(h.Context()))
	h.must(h.Drop(h.Context(), a(), m))
	h.gone(a(), m)
	h.must(h.Held(h.Context(), a(), p))
	h.must(h.Held(h.Context(), b(), masq("10.1.0.3/24")))
	h.wantCode(h.Held(h.Context(), a(), publish(port(tcp, 8080, "10.1.0.2:81"))), fault.Drift, "8080/tcp", "10.1.0.2:81", "10.1.0.2:80")
	h.wantCode(h.Held(h.Context(), b(), p), fault.Drift, "8080/tcp", a().Text, b().Text)
}

// badClaims asks for what is refused before anything is touched.
func badClaims(h *host) {
	good := port(tcp, 8080, "10.1.0.2:80")
	change := func(f func(*firewall.Port)) firewall.Claim {
		bad := good
		f(&bad)
		return publish(bad)
	}
	for name, c := range map[string]firewall.Claim{
		"port twice":         publish(good, good),
		"address twice":      masq("10.1.0.2/24", "10.1.0.2/24"),
		"host port 0":        change(func(p *firewall.Port) { p.HostPort = 0 }),
		"target port 0":      change(func(p *firewall.Port) { p.Target = netip.MustParseAddrPort("10.1.0.2:0") }),
		"no target":          change(func(p *firewall.Port) { p.Target = netip.AddrPort{} }),
		"protocol":           change(func(p *firewall.Port) { p.Protocol = 1 }),
		"family":             change(func(p *firewall.Port) { p.HostIP = netip.MustParseAddr("2001:db8::1") }),
		"subnet of another":  change(func(p *firewall.Port) { p.Subnet = netip.MustParsePrefix("10.2.0.0/24") }),
		"subnet not masked":  {Role: firewall.Masquerade, Masq: []firewall.Masq{{Addr: netip.MustParseAddr("10.1.0.2"), Subnet: netip.MustParsePrefix("10.1.0.2/24")}}},
		"no address":         {Role: firewall.Masquerade, Masq: []firewall.Masq{{}}},
		"link name too long": spoof("veth0123456789abc", 2, 0, 0, 0, 0, 1),
		"except not masked":  except(masq("10.1.0.2/24"), "172.16.0.1/12"),
		"except of another":  except(masq("10.1.0.2/24"), "fd00::/8"),
		"short MAC":          spoof("veth1", 2, 0, 0),
	} {
		_, err := h.Hold(h.Context(), a(), c, nil)
		if fault.Code(err) != fault.Config {
			h.Errorf("%s: error %v, want one with the code for configurations", name, err)
		}
	}
	h.wantCode(h.Grounded(h.Context()), fault.Drift)
	h.must(h.Drop(h.Context(), a(), publish(good, good)))
}

// otherOwner asks that what is held stays with its owner.
func otherOwner(h *host) {
	for _, c := range []firewall.Claim{masq("10.1.0.2/24"), publish(port(tcp, 8080, "10.1.0.2:80")), spoof("veth1", 2, 0, 0, 0, 0, 1)} {
		h.hold(a(), c, true)
		created, err := h.Hold(h.Context(), b(), c, alive)
		h.wantCode(err, fault.Taken, a().Text)
		if created || fault.Hint(err) == "" {
			h.Errorf("created %t with hint %q", created, fault.Hint(err))
		}
		h.holds(b(), c.Role, false)
		h.must(h.Drop(h.Context(), b(), c))
		h.must(h.Held(h.Context(), a(), c))
	}
	// All or nothing: of two ports one is taken.
	two := publish(port(tcp, 9090, "10.1.0.3:90"), port(tcp, 8080, "10.1.0.3:80"))
	_, err := h.Hold(h.Context(), b(), two, nil)
	h.wantCode(err, fault.Taken, "host port 8080/tcp")
	h.gone(b(), publish(port(tcp, 9090, "10.1.0.3:90")))
}

// takeOver asks that what the dead held goes to the living.
func takeOver(h *host) {
	for _, linked := range []bool{false, true} {
		ghost := owner.Of("net", "ghost", "eth0")
		c := publish(port(tcp, 8080, "10.1.0.2:80"), port(tcp, 8081, "10.1.0.2:81"))
		c.Linked = linked
		h.hold(ghost, c, true)
		var asked []firewall.Holder
		one := publish(port(tcp, 8080, "10.1.0.2:80")) // two elements of the ghost's: the port, and its target
		_, err := h.Hold(h.Context(), a(), one, func(o firewall.Holder) bool { asked = append(asked, o); return true })
		h.must(err)
		if len(asked) != 1 || asked[0].ID != ghost.ID || asked[0].Linked != linked {
			h.Errorf("was asked whether %v are dead, want only %s, linked %t", asked, ghost, linked)
		}
		h.must(h.Held(h.Context(), a(), one))
		h.must(h.Drop(h.Context(), ghost, c)) // the count of the ghost's elements is wrong now
		h.must(h.Held(h.Context(), a(), one))
		h.gone(ghost, publish(port(tcp, 8081, "10.1.0.3:81")))
		h.must(h.Drop(h.Context(), a(), empty(firewall.Publish)))
	}
}

// oneContainer: a container on several networks, to each of which its runtime gives the same ports, has them by the first; the others have nothing in the way, and nobody
// else gets them. Where the first goes, asking again gives them to another.
func oneContainer(h *host) {
	long := strings.Repeat("a-network-of-a-team-", 3) // whose text is cut short in a tag
	first, second := owner.Of(long, "one", "eth0"), owner.Of("net", "one", "eth1")
	claims := map[owner.ID]firewall.Claim{
		first.ID:  publish(port(6, 8080, "10.1.0.2:80"), port(6, 8080, "[fd00:1::2]:80"), on("192.0.2.1", port(17, 53, "10.1.0.2:53"))),
		second.ID: publish(port(6, 8080, "10.2.0.2:80"), port(6, 8080, "[fd00:2::2]:80"), on("192.0.2.1", port(17, 53, "10.2.0.2:53")), port(6, 8081, "10.2.0.2:81")),
	}
	for _, order := range [][]owner.Owner{{first, second}, {second, first}} {
		x, y := order[0], order[1]
		h.hold(x, claims[x.ID], true)
		h.hold(y, claims[y.ID], true)
		h.must(h.Held(h.Context(), x, claims[x.ID]))
		_, err := h.Hold(h.Context(), owner.Of("net", "two", "eth0"), publish(port(6, 8080, "10.1.0.9:80")), alive)
		h.wantCode(err, fault.Taken, "8080")
		h.must(h.Drop(h.Context(), x, empty(firewall.Publish)))
		if _, err := h.Hold(h.Context(), y, claims[y.ID], alive); err != nil {
			h.Fatal(err)
		}
		h.must(h.Held(h.Context(), y, claims[y.ID]))
		h.must(h.Drop(h.Context(), y, empty(firewall.Publish)))
		h.gone(x, claims[x.ID])
		h.gone(y, claims[y.ID])
	}
}

// oneAddress asks that of two who publish ports of one address the second is refused, whatever the ports, and gets it once the first is dead.
func oneAddress(h *host) {
	for name, snat := range map[string]firewall.SNAT{"none": firewall.SNATNone, "near": firewall.SNATHairpin, "all": firewall.SNATAll} {
		h.Run(name, func(t *testing.T) {
			s := &host{T: t, Backend: h.Backend, Filter: h.Filter}
			one, two := port(tcp, 8080, "10.1.0.2:80"), port(tcp, 8081, "10.1.0.2:81")
			one.SNAT, two.SNAT = snat, snat
			s.hold(a(), publish(one), true)
			_, err := s.Hold(t.Context(), b(), publish(two), alive)
			s.wantCode(err, fault.Taken, "published address 10.1.0.2", a().Text)
			s.holds(b(), firewall.Publish, false)
			_, err = s.Hold(t.Context(), b(), publish(two), func(firewall.Holder) bool { return true })
			s.must(err)
			s.must(s.Held(t.Context(), b(), publish(two)))
			s.wantCode(s.Held(t.Context(), a(), publish(one)), fault.Drift)
			s.hold(owner.Of("net", "third", "eth0"), publish(port(tcp, 8080, "10.1.0.3:80")), true) // its port leads nowhere else
			s.must(s.Drop(t.Context(), a(), publish(one)))
			s.must(s.Held(t.Context(), b(), publish(two)))
			for _, o := range []owner.Owner{b(), owner.Of("net", "third", "eth0")} {
				s.must(s.Drop(t.Context(), o, empty(firewall.Publish)))
			}
			s.gone(b(), publish(two))
		})
	}
}

// specificAddress asks that a port of one address and of all may both be held, in either order.
func specificAddress(h *host) {
	all, one := publish(port(tcp, 8080, "10.1.0.2:80")), publish(on("192.0.2.1", port(tcp, 8080, "10.1.0.3:80")))
	h.hold(a(), all, true)
	h.hold(b(), one, true)
	h.must(h.Drop(h.Context(), a(), all))
	h.must(h.Held(h.Context(), b(), one))
	h.hold(a(), all, true)
	// Every address, written as an address, is every address.
	_, err := h.Hold(h.Context(), b(), publish(on("0.0.0.0", port(tcp, 8080, "10.1.0.3:80"))), nil)
	h.wantCode(err, fault.Taken, "host port 8080/tcp")
}

// exactly asks that a new claim replaces the owner's old one.
func exactly(h *host) {
	h.hold(a(), masq("10.1.0.2/24", "10.1.0.3/24"), true)
	h.hold(a(), masq("10.1.0.2/24", "10.1.0.4/24"), true)
	h.gone(b(), masq("10.1.0.3/24"))
	h.must(h.Drop(h.Context(), a(), empty(firewall.Masquerade)))
	h.gone(a(), masq("10.1.0.2/24", "10.1.0.4/24"))
	// Nothing claimed, nothing changed.
	h.hold(a(), masq("10.1.0.2/24"), true)
	h.hold(a(), empty(firewall.Masquerade), false)
	h.must(h.Held(h.Context(), a(), masq("10.1.0.2/24")))
}

// noValues asks that a DEL which knows nothing drops all of the role, and nothing of other roles and owners.
func noValues(h *host) {
	ports := publish(port(tcp, 8080, "10.1.0.2:80"), on("192.0.2.1", port(udp, 53, "10.1.0.2:53")), port(sctp, 8080, "[fd00::2]:80"))
	h.hold(a(), ports, true)
	h.hold(a(), masq("10.1.0.2/24"), true)
	h.hold(b(), publish(port(tcp, 8081, "10.1.0.3:80")), true)
	h.must(h.Drop(h.Context(), a(), empty(firewall.Publish)))
	h.gone(a(), ports)
	h.must(h.Held(h.Context(), a(), masq("10.1.0.2/24")))
	h.must(h.Held(h.Context(), b(), publish(port(tcp, 8081, "10.1.0.3:80"))))
	for _, r := range []firewall.Role{firewall.Masquerade, firewall.Publish, firewall.Antispoof} {
		h.must(h.Drop(h.Context(), a(), empty(r)))
		h.must(h.Drop(h.Context(), a(), empty(r)))
		h.holds(a(), r, false)
	}
}

// wrongValues asks that a DEL with another result than the ADD's still drops everything, and nothing of other owners.
func wrongValues(h *host) {
	h.hold(a(), masq("10.1.0.2/24", "fd00::2/64"), true)
	h.hold(b(), masq("10.1.0.9/24"), true)
	h.must(h.Drop(h.Context(), a(), masq("10.1.0.2/24", "10.1.0.9/24")))
	h.gone(a(), masq("10.1.0.2/24", "fd00::2/64"))
	h.must(h.Held(h.Context(), b(), masq("10.1.0.9/24")))
	h.hold(a(), spoof("veth1", 2, 0, 0, 0, 0, 1), true)
	h.must(h.Drop(h.Context(), a(), spoof("veth1", 2, 0, 0, 0, 0, 2)))
	h.gone(a(), spoof("veth1", 2, 0, 0, 0, 0, 1))
}

// againAtOnce asks that what was dropped can be held in the same millisecond, by its owner and by another.
func againAtOnce(h *host) {
	c := publish(port(tcp, 8080, "10.1.0.2:80"))
	for range 50 {
		h.hold(a(), c, true)
		h.must(h.Drop(h.Context(), a(), c))
		h.hold(b(), c, true)
		h.must(h.Drop(h.Context(), b(), empty(c.Role)))
	}
	h.gone(a(), c)
}

// owners asks who holds something.
func owners(h *host) {
	far := owner.Of("far", "one", "eth0")
	h.wantOwners(firewall.Masquerade, "net")
	h.hold(a(), masq("10.1.0.2/24"), true)
	h.hold(b(), masq("10.1.0.3/24"), true)
	h.hold(far, masq("10.2.0.2/24"), true)
	h.hold(a(), publish(port(tcp, 8080, "10.1.0.2:80")), true)
	h.wantOwners(firewall.Masquerade, "net", firewall.Holder{Owner: a(), Linked: true}, firewall.Holder{Owner: b(), Linked: true})
	h.wantOwners(firewall.Publish, "net", firewall.Holder{Owner: a()})
	h.wantOwners(firewall.Masquerade, "far", firewall.Holder{Owner: far, Linked: true})
	h.wantOwners(firewall.Masquerade, "", firewall.Holder{Owner: a(), Linked: true}, firewall.Holder{Owner: b(), Linked: true},
		firewall.Holder{Owner: far, Linked: true})
	h.wantOwners(firewall.Antispoof, "net")
	h.must(h.Drop(h.Context(), a(), masq("10.1.0.2/24")))
	h.wantOwners(firewall.Masquerade, "net", firewall.Holder{Owner: b(), Linked: true})
}

// deadline asks that a context which has ended ends the call, or that the call has succeeded.
func deadline(h *host) {
	ctx, cancel := context.WithCancel(h.Context())
	cancel()
	_, err := h.Hold(ctx, a(), masq("10.1.0.2/24"), nil)
	if err != nil && !errors.Is(err, context.Canceled) {
		h.Fatal(err)
	}
	h.holds(a(), firewall.Masquerade, err == nil)
}
