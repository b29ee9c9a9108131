package e2e

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// A client that sends a hundred datagrams a second from one port must reach the new container soon after it was added, in whatever order
// the old one went. What it sends within the grace may be lost.
const (
	rate  = 10 * time.Millisecond
	grace = 100 * time.Millisecond // at rest
)

// TestReplacement replaces a container in both orders, under each backend. Flows of others to the same port number of somebody else's go on.
func TestReplacement(t *testing.T) {
	for name, replace := range map[string]func(w *street, config, keys string){
		"gone, then added": func(w *street, config, keys string) {
			succeed(w.T, "DEL", "portmap", "old", w.ports("old", keys, dns))
			succeed(w.T, "DEL", "bridge", "old", config)
			w.attach("new", config)
			succeed(w.T, "ADD", "portmap", "new", w.ports("new", keys, dns))
		},
		"dead, added, then gone": func(w *street, config, keys string) {
			w.dies("old")
			w.attach("new", config)
			succeed(w.T, "ADD", "portmap", "new", w.ports("new", keys, dns))
			succeed(w.T, "DEL", "portmap", "old", w.ports("old", keys), "CNI_NETNS=")
		},
	} {
		for _, backend := range backends {
			t.Run(strings.ReplaceAll(name, " ", "-")+"/"+backend, func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) {
					replaced(t, backend, replace)
				})
			})
		}
	}
}

var dns = mapping("udp", 5353, 53, "")

func replaced(t *testing.T, backend string, replace func(w *street, config, keys string)) {
	config := network(fmt.Sprintf(`"isDefaultGateway": true, "ipMasq": true, "ipMasqBackend": %q, `, backend) + hostLocal(subnet))
	keys := fmt.Sprintf(`"backend": %q`, backend)
	w := newStreet(t)
	for _, name := range []string{"old", "new", "bystander"} {
		w.container(name)
	}
	w.attach("bystander", config)
	w.attach("old", config)
	succeed(t, "ADD", "portmap", "old", w.ports("old", keys, dns))
	w.echo("old", ":53")
	w.echo("new", ":53")
	w.echo(outsider, ":5353")
	const many = 1000
	must(t, os.WriteFile("/proc/sys/net/netfilter/nf_conntrack_udp_timeout", []byte("600"), 0)) // on a slow machine all of it takes longer than the usual half a minute
	w.flows("bystander", "192.0.2.2:5353", many)
	s := w.stream("192.0.2.1:5353")
	s.await("old", 5)
	replace(w, config, keys)
	added := time.Now()
	s.await("new", 20)
	s.stop()
	s.holds("new", added.Add(slack.Of(grace)))
	t.Logf("the first answer came to what was sent %s after the ADD", s.first("new").Sub(added))
	if left := w.tracked("192.0.2.2", 5353); left != many {
		t.Errorf("%d flows of a bystander are left of %d", left, many)
	}
}

// flows has the container exchange a datagram each by so many ports of its own.
func (w *street) flows(container, to string, many int) {
	w.Helper()
	must(w.T, in(container, func() error {
		for i := range many {
			own := net.Dialer{LocalAddr: &net.UDPAddr{Port: 20000 + i}}
			conn, err := own.Dial("udp", to)
			if err != nil {
				return err
			}
			_ = conn.SetDeadline(time.Now().Add(soon()))
			_, _ = conn.Write([]byte("?"))
			_, err = conn.Read(make([]byte, 100))
			conn.Close()
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

// tracked counts the flows to an address and port that the host's connection tracking knows.
func (w *street) tracked(address string, port uint16) (count int) {
	w.Helper()
	flows, err := netlink.ConntrackTableList(netlink.ConntrackTable, unix.AF_INET)
	must(w.T, err)
	for _, f := range flows {
		if f.Forward.DstIP.String() == address && f.Forward.DstPort == port {
			count++
		}
	}
	return count
}

// stream is a client's traffic: numbered datagrams from one port.
type stream struct {
	*testing.T
	conn    net.Conn
	ended   chan struct{}
	answers chan string // "who number"
	mu      sync.Mutex
	sent    []time.Time
	from    map[int]string
}

func (w *street) stream(to string) *stream {
	w.Helper()
	s := &stream{T: w.T, ended: make(chan struct{}), answers: make(chan string, 10000), from: make(map[int]string)}
	must(w.T, in(outsider, func() (err error) {
		s.conn, err = net.Dial("udp", to)
		return err
	}))
	go s.send()
	go s.receive()
	return s
}

func (s *stream) send() {
	tick := time.NewTicker(rate)
	defer tick.Stop()
	for {
		select {
		case <-s.ended:
			return
		case <-tick.C:
		}
		s.mu.Lock()
		number := len(s.sent)
		s.sent = append(s.sent, time.Now())
		s.mu.Unlock()
		_, _ = fmt.Fprint(s.conn, number) // an error is of an earlier one, which nobody took
	}
}

func (s *stream) receive() {
	buffer := make([]byte, 100)
	for {
		n, err := s.conn.Read(buffer)
		select {
		case <-s.ended:
			return
		default:
		}
		if err == nil { // else nobody took an earlier one
			s.answers <- string(buffer[:n])
		}
	}
}

// await waits for so many answers of one container.
func (s *stream) await(who string, many int) {
	s.Helper()
	late := time.After(soon())
	for many > 0 {
		select {
		case answer := <-s.answers:
			var name string
			var number int
			if _, err := fmt.Sscan(answer, &name, &number); err != nil {
				s.Fatalf("answer %q: %v", answer, err)
			}
			s.from[number] = name
			if name == who {
				many--
			}
		case <-late:
			s.Fatalf("%d more answers of %s did not come", many, who)
		}
	}
}

func (s *stream) stop() {
	close(s.ended)
	s.conn.Close()
}

// holds fails the test unless all that was sent from then on was answered by the container. The last answers may be on their way.
func (s *stream) holds(who string, then time.Time) {
	s.Helper()
	last := 0
	for number := range s.from {
		last = max(last, number)
	}
	for number, at := range s.sent[:last] {
		if at.After(then) && s.from[number] != who {
			s.Errorf("datagram %d, sent %s later, was answered by %q", number, at.Sub(then), s.from[number])
		}
	}
}

// lost counts the datagrams that were not answered. The last answers may be on their way.
func (s *stream) lost() int {
	last := 0
	for number := range s.from {
		last = max(last, number)
	}
	return last + 1 - len(s.from)
}

// first returns when the first datagram was sent that the container answered.
func (s *stream) first(who string) time.Time {
	var answered []int
	for number, name := range s.from {
		if name == who {
			answered = append(answered, number)
		}
	}
	return s.sent[slices.Min(answered)]
}
