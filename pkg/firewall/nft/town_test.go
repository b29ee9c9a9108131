package nft

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// patient is the deadline of everything that should happen.
var patient = slack.Of(10 * time.Second)

// town is a host with two containers on a bridge and a client outside:
//
//	one 10.1.0.2, two 10.1.0.3 -- br0 10.1.0.1 (host) 192.0.2.1 -- client 192.0.2.2
//
// and the same with fd00:1:: and 2001:db8::. Outside, nobody has a route to the containers.
type town struct {
	*testing.T
	host, one, two, client string // paths of namespaces; that of the host is empty
	filter                 *Filter
}

func build(t *testing.T) *town {
	w := &town{T: t, filter: open(t), one: nstest.Namespace(t, "one"), two: nstest.Namespace(t, "two"), client: nstest.Namespace(t, "client")}
	for _, path := range []string{w.host, w.one, w.two, w.client} {
		// Until the link-local address is known to be the only one, the host asks for no neighbour.
		must(t, enter(path, func() error { return os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0o644) }))
	}
	br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	must(t, netlink.LinkAdd(br))
	must(t, netlink.LinkSetUp(br))
	for i, path := range []string{w.one, w.two} {
		name := []string{"one", "two"}[i]
		port := w.wire(name, path, fmt.Sprintf("10.1.0.%d/24", i+2), fmt.Sprintf("fd00:1::%d/64", i+2), "10.1.0.1", "fd00:1::1")
		must(t, netlink.LinkSetMaster(port, br))
		must(t, netlink.LinkSetHairpin(port, true))
	}
	outside := w.wire("outside", w.client, "192.0.2.2/24", "2001:db8::2/64")
	must(t, addresses(outside, "192.0.2.1/24", "2001:db8::1/64"))
	must(t, addresses(br, "10.1.0.1/24", "fd00:1::1/64"))
	sysctl(t, "net/ipv4/ip_forward", "1")
	sysctl(t, "net/ipv6/conf/all/forwarding", "1")
	for _, path := range []string{w.one, w.two, w.client} {
		w.works(path, "eth0")
	}
	for _, name := range []string{"one", "two", "outside", "br0"} {
		w.works(w.host, name)
	}
	return w
}

// works waits until the link is operational. Only then are frames sent, and does a bridge forward them: it is told before we are.
func (w *town) works(path, name string) {
	w.Helper()
	must(w, enter(path, func() error {
		updates, done := make(chan netlink.LinkUpdate), make(chan struct{})
		defer close(done)
		if err := netlink.LinkSubscribeWithOptions(updates, done, netlink.LinkSubscribeOptions{ListExisting: true}); err != nil {
			return err
		}
		late := time.After(patient)
		for {
			select {
			case u := <-updates:
				if u.Attrs().Name == name && u.Attrs().OperState == netlink.OperUp {
					return nil
				}
			case <-late:
				return fmt.Errorf("link %s: not up after %s", name, patient)
			}
		}
	}))
}

// wire joins a namespace to the host: eth0 there, the name here. Routes lead over the gateways, if there are any.
func (w *town) wire(name, path, four, six string, gateways ...string) netlink.Link {
	w.Helper()
	file, err := os.Open(path)
	must(w, err)
	defer file.Close()
	must(w, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "eth0", PeerNamespace: netlink.NsFd(file.Fd())}))
	must(w, nstest.In(path, func() error {
		lo, err1 := netlink.LinkByName("lo")
		eth0, err2 := netlink.LinkByName("eth0")
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		err := errors.Join(netlink.LinkSetUp(lo), netlink.LinkSetUp(eth0), addresses(eth0, four, six))
		for _, gateway := range gateways {
			err = errors.Join(err, netlink.RouteAdd(&netlink.Route{Gw: net.ParseIP(gateway)}))
		}
		return err
	}))
	link, err := netlink.LinkByName(name)
	must(w, err)
	must(w, netlink.LinkSetUp(link))
	return link
}

// addresses gives a link addresses that are good at once.
func addresses(link netlink.Link, list ...string) error {
	for _, text := range list {
		addr, err := netlink.ParseAddr(text)
		if err != nil {
			return err
		}
		if addr.IP.To4() == nil {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(link, addr); err != nil {
			return err
		}
	}
	return nil
}

func sysctl(t testing.TB, key, value string) {
	t.Helper()
	must(t, os.WriteFile("/proc/sys/"+key, []byte(value), 0o644))
}

// enter runs f in the namespace at the path; on the host if it is empty.
func enter(path string, f func() error) error {
	if path == "" {
		return f()
	}
	return nstest.In(path, f)
}

// serve answers on a TCP and a UDP port in the namespace: with its name, and the address that it sees.
func (w *town) serve(path, name, at string) {
	w.Helper()
	must(w, enter(path, func() error {
		listener, err := net.Listen("tcp", at)
		if err != nil {
			return err
		}
		packets, err := net.ListenPacket("udp", at)
		if err != nil {
			return err
		}
		w.Cleanup(func() { listener.Close(); packets.Close() })
		go answerStreams(listener, name)
		go answerPackets(packets, name)
		return nil
	}))
}

func saw(name string, addr net.Addr) string {
	return fmt.Sprintf("%s saw %s", name, netip.MustParseAddrPort(addr.String()).Addr().Unmap())
}

func answerStreams(listener net.Listener, name string) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return // the test is over
		}
		_, _ = io.WriteString(conn, saw(name, conn.RemoteAddr()))
		conn.Close()
	}
}

func answerPackets(packets net.PacketConn, name string) {
	buffer := make([]byte, 100)
	for {
		_, from, err := packets.ReadFrom(buffer)
		if err != nil {
			return // the test is over
		}
		_, _ = packets.WriteTo([]byte(saw(name, from)), from)
	}
}

// ask connects from the namespace and returns the answer.
func ask(path, network, to string) (answer string, err error) {
	err = enter(path, func() error {
		conn, err := net.DialTimeout(network, to, patient)
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patient))
		if network == "udp" {
			_, err = conn.Write([]byte("?"))
		}
		if err != nil {
			return err
		}
		buffer := make([]byte, 100)
		n, err := conn.Read(buffer)
		answer = string(buffer[:n])
		return err
	})
	return answer, err
}

// hears fails the test unless the answer is as wanted.
func (w *town) hears(what, from, network, to, want string) {
	w.Helper()
	got, err := ask(from, network, to)
	if err != nil || got != want {
		w.Errorf("%s: %s %s: answer %q, error %v, want %q", what, network, to, got, err, want)
	}
}

// claim holds for the owner with the container ID.
func (w *town) claim(id string, c firewall.Claim) {
	w.Helper()
	_, err := w.filter.Hold(w.Context(), owner.Of("net", id, "eth0"), c, nil)
	must(w, err)
}
