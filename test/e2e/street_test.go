package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/space"
)

// street is a host with a world outside, for tests of traffic: the host is 192.0.2.1 and 2001:db8::1 there, outside is .2 and ::2.
type street struct {
	*testing.T
	results map[string][]byte      // of the last ADD of the bridge plugin, by container
	servers map[string][]io.Closer // by container
	waits   time.Duration          // for an answer; 0: as long as one may take
}

const outsider = "outside"

func newStreet(t *testing.T) *street {
	w := &street{T: t, results: make(map[string][]byte), servers: make(map[string][]io.Closer)}
	w.container(outsider)
	must(t, space.Uplink(netnsDir+outsider))
	return w
}

// container makes a namespace. IPv6 addresses of its links, and of the host's made later, can be used at once.
func (w *street) container(name string) {
	w.Helper()
	nstest.Namespace(w, name)
	for _, where := range []string{"host", name} {
		must(w.T, in(where, func() error {
			lo, err := netlink.LinkByName("lo")
			if err != nil {
				return err
			}
			return errors.Join(netlink.LinkSetUp(lo), os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0o644))
		}))
	}
}

// attach adds the container to a network by the bridge plugin.
func (w *street) attach(container, config string) {
	w.Helper()
	w.results[container] = succeed(w.T, "ADD", "bridge", container, config).Out
}

// ports writes portmap's configuration for the container: further keys, and its mappings.
func (w *street) ports(container, keys string, mappings ...string) string {
	list := "[]"
	if len(mappings) > 0 {
		list = "[" + mappings[0]
		for _, m := range mappings[1:] {
			list += ", " + m
		}
		list += "]"
	}
	if keys != "" {
		keys += ", "
	}
	return fmt.Sprintf(`{"cniVersion": "1.1.0", "name": "net", "type": "portmap", %s"runtimeConfig": {"portMappings": %s}, "prevResult": %s}`,
		keys, list, w.results[container])
}

func mapping(protocol string, host, container int, more string) string {
	return fmt.Sprintf(`{"hostPort": %d, "containerPort": %d, "protocol": %q%s}`, host, container, protocol, more)
}

// address returns the container's address of the family.
func (w *street) address(container string, is4 bool) netip.Addr {
	w.Helper()
	var r struct {
		IPs []struct{ Address netip.Prefix }
	}
	must(w.T, json.Unmarshal(w.results[container], &r))
	for _, ip := range r.IPs {
		if ip.Address.Addr().Is4() == is4 {
			return ip.Address.Addr()
		}
	}
	w.Fatalf("no such address in %s", w.results[container])
	return netip.Addr{}
}

// dies ends the container's servers, takes its namespace away, and returns when its host end has gone.
func (w *street) dies(container string) {
	w.Helper()
	var index int
	must(w.T, nstest.In(netnsDir+container, func() error {
		link, err := netlink.LinkByName("eth0")
		if err == nil {
			index = link.Attrs().ParentIndex
		}
		return err
	}))
	events, done := make(chan netlink.LinkUpdate), make(chan struct{})
	defer close(done)
	must(w.T, netlink.LinkSubscribe(events, done))
	for _, server := range w.servers[container] { // an open socket would keep the namespace alive
		server.Close()
	}
	nstest.Remove(w, netnsDir+container)
	w.removed(events, index)
}

func (w *street) removed(events <-chan netlink.LinkUpdate, index int) {
	deadline := time.After(soon())
	for {
		select {
		case e := <-events:
			if gone(e, index) {
				return
			}
		case <-deadline:
			w.Fatalf("link %d did not go", index)
		}
	}
}

// echo answers each datagram in the container with its name and what was sent.
func (w *street) echo(container, address string) {
	w.Helper()
	must(w.T, in(container, func() error {
		packets, err := net.ListenPacket("udp", address)
		if err != nil {
			return err
		}
		w.servers[container] = append(w.servers[container], packets)
		go func() {
			buffer := make([]byte, 100)
			for {
				n, from, err := packets.ReadFrom(buffer)
				if err != nil {
					return // the test is over
				}
				_, _ = packets.WriteTo(append([]byte(container+" "), buffer[:n]...), from)
			}
		}()
		return nil
	}))
}
