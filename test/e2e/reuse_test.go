package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// The range holds one address of each family, so every container gets those that its predecessor had a moment ago. The neighbour is on the
// same bridge by another network, so that it takes none of them.
var (
	oneAddress = network(`"isGateway": true, "ipam": {"type": "host-local", "ranges": [
		[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.9"}],
		[{"subnet": "fd00::/64", "rangeStart": "fd00::9", "rangeEnd": "fd00::9"}]]}`)
	nextDoor = network(`"name": "neighbours", "isGateway": true, "ipam": {"type": "host-local", "ranges": [
		[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.100"}], [{"subnet": "fd00::/64", "rangeStart": "fd00::100"}]]}`)
)

// prompt is when an answer must have come. A stale neighbour entry costs at the least what the kernel takes to doubt it, which is nine
// seconds; a lost datagram is never answered.
func prompt() time.Duration { return min(slack.Of(time.Second), 8*time.Second) }

// TestReuse deletes a container and adds another one that gets the same addresses, again and again. The host and a neighbour, which both
// spoke to the predecessor, ask once each as soon as the ADD has returned.
func TestReuse(t *testing.T) {
	t.Parallel()
	cycles := 10
	if os.Getenv("TRESTLE_LONG") != "" {
		cycles = 50
	}
	nstest.Run(t, func(t *testing.T) {
		r := &relay{street: newStreet(t), took: make(map[asker][]time.Duration)}
		r.container("neighbour")
		r.attach("neighbour", nextDoor)
		r.prepare("c0")
		r.attach("c0", oneAddress)
		r.dial("host", "neighbour")
		r.askAll("c0", time.Now())
		clear(r.took)
		for i := range cycles {
			r.handOver(fmt.Sprintf("c%d", i), fmt.Sprintf("c%d", i+1))
		}
		for _, a := range r.askers {
			t.Logf("%s: median %s, p99 %s of %d", a, rank(r.took[a], 50), rank(r.took[a], 99), len(r.took[a]))
		}
	})
}

// relay is the addresses' way from container to container.
type relay struct {
	*street
	askers []asker
	conns  map[asker]net.Conn
	mu     sync.Mutex
	took   map[asker][]time.Duration // from the ADD's return to the answer
}

// asker is one who asks for one of the addresses.
type asker struct {
	where string
	addr  netip.Addr
}

func (a asker) String() string { return a.where + " to " + a.addr.String() }

// prepare makes a container that answers as soon as it has an address.
func (r *relay) prepare(container string) {
	r.Helper()
	r.container(container)
	r.echo(container, ":7")
}

// dial connects a socket for each asker, which outlives the containers, as that of a long-running client does.
func (r *relay) dial(places ...string) {
	r.Helper()
	r.conns = make(map[asker]net.Conn)
	for _, where := range places {
		for _, is4 := range []bool{true, false} {
			a := asker{where, r.address("c0", is4)}
			must(r.T, in(where, func() (err error) {
				r.conns[a], err = net.Dial("udp", netip.AddrPortFrom(a.addr, 7).String())
				return err
			}))
			r.Cleanup(func() { r.conns[a].Close() })
			r.askers = append(r.askers, a)
		}
	}
}

// handOver replaces one container by another.
func (r *relay) handOver(old, next string) {
	r.Helper()
	r.prepare(next)
	succeed(r.T, "DEL", "bridge", old, oneAddress)
	r.remembered(old)
	r.attach(next, oneAddress)
	added := time.Now()
	r.askAll(next, added)
	if r.mac(next) == r.mac(old) {
		r.Errorf("%s and %s have one MAC address, %s", old, next, r.mac(next))
	}
	for _, server := range r.servers[old] {
		server.Close()
	}
	nstest.Remove(r, netnsDir+old)
}

// askAll asks for each address once, all at the same time.
func (r *relay) askAll(container string, added time.Time) {
	r.Helper()
	var all sync.WaitGroup
	for _, a := range r.askers {
		all.Go(func() {
			answer, err := ask(r.conns[a], added.Add(prompt()))
			took := time.Since(added)
			if err != nil || answer != container+" who" {
				r.Errorf("%s: %q after %s: %v, want %s", a, answer, took, err, container)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.took[a] = append(r.took[a], took)
		})
	}
	all.Wait()
}

func ask(conn net.Conn, deadline time.Time) (string, error) {
	if err := conn.SetDeadline(deadline); err != nil {
		return "", err
	}
	if _, err := conn.Write([]byte("who")); err != nil {
		return "", err
	}
	buffer := make([]byte, 100)
	n, err := conn.Read(buffer)
	return string(buffer[:n]), err
}

// remembered holds the neighbour to a memory of the container that has gone: without it the test would show nothing.
func (r *relay) remembered(container string) {
	r.Helper()
	must(r.T, in("neighbour", func() error {
		entries, err := netlink.NeighList(0, netlink.FAMILY_ALL)
		for _, is4 := range []bool{true, false} {
			addr := r.address(container, is4)
			stale := func(n netlink.Neigh) bool {
				return n.IP.Equal(addr.AsSlice()) && n.HardwareAddr.String() == r.mac(container)
			}
			if err == nil && !slices.ContainsFunc(entries, stale) {
				err = fmt.Errorf("%s at %s: forgotten already: %v", addr, r.mac(container), entries)
			}
		}
		return err
	}))
}

// mac returns the address of the container's interface.
func (r *relay) mac(container string) string {
	r.Helper()
	var result struct {
		Interfaces []struct{ Mac, Sandbox string }
	}
	must(r.T, json.Unmarshal(r.results[container], &result))
	for _, i := range result.Interfaces {
		if i.Sandbox != "" {
			return strings.ToLower(i.Mac)
		}
	}
	r.Fatalf("no interface in %s", r.results[container])
	return ""
}

// rank returns the value that so many percent of all are not above.
func rank(all []time.Duration, percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[(len(sorted)*percent+99)/100-1].Round(10 * time.Microsecond)
}
