package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/operator/doctor"
	"github.com/trestle-cni/trestle/test/nstest"
)

const dual = `"isDefaultGateway": true, "ipMasq": true, "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00:1::/64"}]]}`

// router joins the host with the router by a link of the name. The ends come up in an order in which the last finds its carrier.
func router(name string) string {
	return fmt.Sprintf("ip link add %s type veth peer name r0 netns outside; ip -n outside link set r0 up; ip link set %s up; ", name, name)
}

const six = `"isDefaultGateway": true, "ipMasq": true, "ipam": {"type": "host-local", "ranges": [[{"subnet": "fd00:1::/64"}]]}`

// uplinks are ways in which a host can get a default route by a router's advertisement.
var uplinks = map[string]struct{ script, link string }{
	"link":       {router("wan"), "wan"},
	"dot":        {router("eth0.4"), "eth0.4"},
	"MAC's VLAN": {"ip link add wan type veth peer name r0 netns outside; ip link add link wan name mv type macvlan; ip -n outside link set r0 up; ip link set wan up; ip link set mv up", "mv"},
	"bridge":     {"ip link add lan type bridge; ip link add one type veth peer name two; ip link set one master lan; ip link set lan up; ip link set two up; ip link set one up", "lan"},
	"a container's name, and another default route": {router("veth0") + "ip route add default via 192.0.2.2 dev uplink; ip addr add 198.51.100.1/24 dev veth0; ip route add default via 198.51.100.2 metric 5", "veth0"},
}

// TestUplinkGoesOn has a router give the host its default route. The first dual-stack network makes the host forward, and a host that forwards does
// not listen to routers unless it is told to: the route stays, and the next advertisement counts.
func TestUplinkGoesOn(t *testing.T) {
	for name := range uplinks {
		for families, config := range map[string]string{"": dual, " with IPv6 alone": six} {
			t.Run(strings.ReplaceAll(name+families, " ", "-"), func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) { uplinkGoesOn(t, name, config) })
			})
		}
	}
}

func uplinkGoesOn(t *testing.T, name, config string) {
	c, w := uplinks[name], newStreet(t)
	shell(t, "mkdir -p /run/net.d /run/bin; "+c.script)
	where, from := outsider, "r0"
	if c.link == "lan" { // which leads to no container: the router is a program of the host's own
		where, from = "host", "two"
	}
	w.learns(where, from, c.link)
	w.container("one")
	w.attach("one", network(config))
	if got := defaults(t); got[c.link] == 0 {
		t.Fatalf("the host has lost its default route by %s: %v", c.link, got)
	}
	w.forgets()
	w.learns(where, from, c.link)
	w.checks(config, "one", "")
	listen(t, c.link, "1")
	if found := (planted{}).examined(t); !slices.ContainsFunc(found, func(f doctor.Finding) bool { return f.Object == "link "+c.link }) {
		t.Errorf("doctor does not name %s: %+v", c.link, found)
	}
	w.checks(config, "one", "net/ipv6/conf/"+c.link+"/accept_ra")
	w.container("two")
	w.attach("two", network(config)) // whose ground it is, too
	w.checks(config, "one", "")
	if advertises("one", "eth0")(w) || w.believes("one", "eth0") || defaults(t)["cni0"] > 0 {
		t.Errorf("a container, or the host, believes what a container advertises: %v", defaults(t))
	}
}

// TestAddressGoesOn has a router that is no way out give the host an address. The first network makes the host forward: the address would be over when its time is, since nothing renews it.
func TestAddressGoesOn(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		w := newStreet(t)
		shell(t, "mkdir -p /run/net.d /run/bin; "+router("wan"))
		events, done := make(chan netlink.AddrUpdate, 64), make(chan struct{})
		defer close(done)
		must(t, netlink.AddrSubscribe(events, done))
		must(t, awaitLinkLocal("wan"))
		must(t, in(outsider, func() error { return errors.Join(awaitLinkLocal("r0"), advertiseFor("r0", 0)) }))
		for deadline := time.After(soon()); ; {
			select {
			case e := <-events:
				if !strings.HasPrefix(e.LinkAddress.String(), "2001:db8:bad:") {
					continue
				}
			case <-deadline:
				t.Fatal("the host has not taken the address")
			}
			break
		}
		if got := defaults(t); len(got) > 0 {
			t.Fatalf("a default route by a router that is none: %v", got)
		}
		w.container("one")
		w.attach("one", network(dual))
		if value := listens(t, "wan"); value != "2" {
			t.Errorf("accept_ra of wan is %s: nothing renews the address", value)
		}
		if value := listens(t, "cni0"); value == "2" {
			t.Errorf("accept_ra of cni0 is %s", value)
		}
	})
}

// strangers are containers of another suite, by what joins them to the host. The host believed what they advertise before a network of ours came.
var strangers = map[string]struct{ script, link string }{
	"bridge": {"ip link add br9 type bridge; ip link add p9 type veth peer name eth0 netns stranger; ip link set p9 master br9; ip link set br9 up; " + up("p9"), "br9"},
	"end of a pair": {"ip link add br8 type bridge; ip link add p9 type veth peer name eth0 netns stranger; ip link add e8 type veth peer name e9; " +
		"ip link set p9 master br8; ip link set e8 master br8; ip link set br8 up; ip link set e9 up; ip link set e8 up; " + up("p9"), "e9"},
	"on one": {"ip link add br8 type bridge; ip link add p9 type veth peer name eth0 netns stranger; ip link set p9 master br8; ip link set br8 up; " +
		"ip link add link br8 name mv type macvlan; ip link set mv up; " + up("p9"), "mv"},
	"routed":   {"ip link add abc9 type veth peer name eth0 netns stranger; " + up("abc9") + "; ip route add 10.9.0.2 dev abc9", "abc9"},
	"Calico's": {"ip link add cali0123456789a type veth peer name eth0 netns stranger; " + up("cali0123456789a"), "cali0123456789a"},
}

func up(host string) string { return "ip -n stranger link set eth0 up; ip link set " + host + " up" }

// TestStrangerIsNotBelieved has a container of another suite advertise itself to the host. It is not told to listen to that link.
func TestStrangerIsNotBelieved(t *testing.T) {
	for name, c := range strangers {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				w := newStreet(t)
				w.container("stranger")
				shell(t, c.script)
				w.learns("stranger", "eth0", c.link) // it forwards nothing yet, and believes anybody
				w.container("one")
				w.attach("one", network(dual))
				w.advertised("stranger", "eth0")
				if got := defaults(t); got[c.link] > 0 {
					t.Errorf("the host believes a container: %v", got)
				}
				if value := listens(t, c.link); value == "2" {
					t.Errorf("accept_ra of %s is %s", c.link, value)
				}
				w.checks(dual, "one", "")
			})
		})
	}
}

// learns has the router advertise itself until the host has a default route by the link.
func (w *street) learns(where, from, link string) {
	w.Helper()
	events, done := make(chan netlink.RouteUpdate, 64), make(chan struct{})
	defer close(done)
	must(w.T, netlink.RouteSubscribe(events, done))
	must(w.T, awaitLinkLocal(link))
	must(w.T, in(where, func() error { return awaitLinkLocal(from) }))
	must(w.T, in(where, func() error { return advertise(from) }))
	deadline := time.After(soon())
	for defaults(w.T)[link] == 0 {
		select {
		case <-events:
		case <-deadline:
			w.Fatalf("no default route by %s: %v", link, defaults(w.T))
		}
	}
}

// awaitLinkLocal returns when the link has an address to advertise from, and the kernel has seen its carrier: until then what is sent is lost.
func awaitLinkLocal(name string) error {
	addresses, links, done := make(chan netlink.AddrUpdate, 64), make(chan netlink.LinkUpdate, 64), make(chan struct{})
	defer close(done)
	if err := errors.Join(netlink.AddrSubscribe(addresses, done), netlink.LinkSubscribe(links, done)); err != nil {
		return err
	}
	deadline := time.After(soon())
	for {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		list, err := netlink.AddrList(link, netlink.FAMILY_V6)
		ready := slices.ContainsFunc(list, func(a netlink.Addr) bool { return a.IP.IsLinkLocalUnicast() && a.Flags&unix.IFA_F_TENTATIVE == 0 })
		if err != nil || ready && link.Attrs().OperState == netlink.OperUp {
			return err
		}
		select {
		case <-addresses:
		case <-links:
		case <-deadline:
			return errors.New(name + ": cannot send")
		}
	}
}

// defaults counts the host's advertised default routes by link.
func defaults(t *testing.T) map[string]int {
	t.Helper()
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V6, &netlink.Route{Protocol: unix.RTPROT_RA}, netlink.RT_FILTER_PROTOCOL)
	must(t, err)
	count := make(map[string]int)
	for _, r := range routes {
		link, err := netlink.LinkByIndex(r.LinkIndex)
		must(t, err)
		count[link.Attrs().Name]++
	}
	return count
}

// forgets takes the host's advertised routes away, as time would.
func (w *street) forgets() {
	w.Helper()
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V6, &netlink.Route{Protocol: unix.RTPROT_RA}, netlink.RT_FILTER_PROTOCOL)
	must(w.T, err)
	for _, r := range routes {
		must(w.T, netlink.RouteDel(&r))
	}
}

// advertised has the stranger advertise itself, and returns when the host has heard it: a datagram that is sent behind it has come.
func (w *street) advertised(stranger, from string) {
	w.Helper()
	marker, err := net.ListenPacket("udp6", "[::]:0")
	must(w.T, err)
	defer marker.Close()
	must(w.T, in(stranger, func() error {
		if err := advertise(from); err != nil {
			return err
		}
		conn, err := net.Dial("udp6", fmt.Sprintf("[ff02::1%%%s]:%d", from, marker.LocalAddr().(*net.UDPAddr).Port))
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write([]byte("!"))
		return err
	}))
	must(w.T, marker.SetReadDeadline(time.Now().Add(soon())))
	_, _, err = marker.ReadFrom(make([]byte, 10))
	must(w.T, err)
}

func listen(t *testing.T, link, value string) {
	t.Helper()
	must(t, os.WriteFile("/proc/sys/net/ipv6/conf/"+link+"/accept_ra", []byte(value), 0o644))
}

func listens(t *testing.T, link string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + link + "/accept_ra")
	must(t, err)
	return strings.TrimSpace(string(text))
}

// checks wants CHECK to name the word, or nothing where that is empty.
func (w *street) checks(config, container, word string) {
	w.Helper()
	got, err := invoke("CHECK", "bridge", container, strings.TrimSuffix(network(config), "}")+`, "prevResult": `+string(w.results[container])+"}")
	must(w.T, err)
	if (got.Status == 0) != (word == "") || !strings.Contains(got.Msg, word) {
		w.Errorf("CHECK: %d: %s; want %q", got.Status, got.Msg, word)
	}
}

// TestLostRoute has somebody else make a host forward that had its way out from a router. Doctor says so after the loss, too, and its fix is that the next
// advertisement counts.
func TestLostRoute(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		w := newStreet(t)
		shell(t, "mkdir -p /run/net.d /run/bin; "+router("wan"))
		w.learns(outsider, "r0", "wan")
		must(t, os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1"), 0o644))
		if got := defaults(t); len(got) > 0 {
			t.Fatalf("the kernel kept the route: %v", got)
		}
		lost := func() bool {
			return slices.ContainsFunc(planted{}.examined(t), func(f doctor.Finding) bool { return f.ID == "ra-lost" && f.Object == "link wan" })
		}
		if !lost() {
			t.Error("doctor does not see the loss")
		}
		planted{}.examine(t, "--fix", "--yes")
		w.learns(outsider, "r0", "wan")
		if lost() {
			t.Error("doctor does not see the cure")
		}
	})
}
