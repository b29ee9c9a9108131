//go:build kernels

package e2e

import (
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/peer"
	"github.com/trestle-cni/trestle/test/reference"
	"github.com/trestle-cni/trestle/test/slack"
)

// TestFairQueue wants a question to overtake what another flow sent before it and has not got through yet: behind the reference's queue it comes last. What
// that is worth in time, at 10 Mbit/s, is told and not held: an emulator adds its own. The kernel below `make test` has no fq_codel.
func TestFairQueue(t *testing.T) {
	const slow = `"ingressRate": 80000, "ingressBurst": 80000, "egressRate": 80000, "egressBurst": 80000`
	const quick = `"ingressRate": 10000000, "ingressBurst": 100000, "egressRate": 10000000, "egressBurst": 100000`
	nstest.Run(t, func(t *testing.T) {
		nstest.Namespace(t, "c1")
		s := newShaped(t, "eth0")
		last, first := within(s, slow, s.overtaken)
		theirs, ours := within(s, quick, s.waits)
		for name := range directions {
			t.Logf("%s: behind %d of %d, with the reference's queue behind %d; %v under load, with the reference's queue %v", name, first[name], bulk, last[name],
				ours[name], theirs[name])
			if last[name] != bulk || first[name] == bulk {
				t.Errorf("%s: a question comes behind %d of %d, with the reference's queue behind %d", name, first[name], bulk, last[name])
			}
		}
	})
}

// within looks at what the reference makes of the keys, and at what ours does.
func within[T any](s shaped, keys string, look func() T) (theirs, ours T) {
	s.Helper()
	plain := suite{dir: reference.Newest.Dir}
	plain.call(s.T, "ADD", "bandwidth", "c1", s.config(keys))
	theirs = look()
	plain.call(s.T, "DEL", "bandwidth", "c1", s.config(keys))
	s.run("tc qdisc del dev " + s.host() + " root") // which the reference leaves
	s.run("tc qdisc del dev " + s.host() + " ingress")
	succeed(s.T, "ADD", "bandwidth", "c1", s.config(keys))
	ours = look()
	succeed(s.T, "DEL", "bandwidth", "c1", s.config(keys))
	return theirs, ours
}

// bulk is how many datagrams of 1,000 bytes are sent before a question. Ten thousand bytes, the burst, go through at once, and as many may wait in the
// reference's queue. What waits here takes half a second to go: so long may the sender be kept from its work.
const bulk = 15

// overtaken is, for each direction, behind how many of them the question comes.
func (s shaped) overtaken() map[string]int {
	s.Helper()
	behind := make(map[string]int)
	for name, way := range directions {
		var server net.PacketConn
		must(s.T, in(way[1], func() (err error) { server, err = net.ListenPacket("udp4", way[2]+":0"); return err }))
		must(s.T, in(way[0], func() error {
			flow, err := net.Dial("udp4", server.LocalAddr().String())
			if err != nil {
				return err
			}
			defer flow.Close()
			question, err := net.Dial("udp4", server.LocalAddr().String())
			if err != nil {
				return err
			}
			defer question.Close()
			for range bulk {
				if _, err := flow.Write(make([]byte, 1000)); err != nil {
					return err
				}
			}
			_, err = question.Write([]byte("?"))
			return err
		}))
		must(s.T, server.SetReadDeadline(time.Now().Add(slack.Of(5*time.Second))))
		for n := 0; n != 1; {
			var err error
			if n, _, err = server.ReadFrom(make([]byte, 2000)); n != 1 {
				behind[name]++
			}
			must(s.T, err)
		}
		server.Close()
	}
	return behind
}

// waits is, for each direction, the time in which a quarter of the answers comes while a stream goes that way. What an emulator adds now and then is in the
// rest of them, and a queue that everything waits behind is in all.
func (s shaped) waits() map[string]time.Duration {
	s.Helper()
	quarter := make(map[string]time.Duration)
	for name, way := range directions {
		load := s.load(way[0], way[1], way[2])
		var server io.Closer
		must(s.T, in(way[1], func() (err error) { server, err = peer.Serve("there", "udp4", way[2]+":7"); return err }))
		var times []time.Duration
		must(s.T, in(way[0], func() (err error) { times, err = peer.Flows("udp", way[2]+":7", 31, slack.Of(time.Second)); return err }))
		server.Close()
		load.Close()
		slices.Sort(times)
		quarter[name] = times[len(times)/4]
	}
	return quarter
}

// load sends a stream from one namespace to the other as fast as it goes, until it is closed. It returns when half a second's worth has arrived: the queue is full.
func (s shaped) load(from, to, address string) io.Closer {
	s.Helper()
	var listener net.Listener
	must(s.T, in(to, func() (err error) { listener, err = net.Listen("tcp4", address+":0"); return err }))
	defer listener.Close()
	full := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, err = io.CopyN(io.Discard, conn, 600_000)
		}
		full <- err
		if err == nil {
			_, _ = io.Copy(io.Discard, conn) // until the sender closes it
		}
	}()
	var conn net.Conn
	must(s.T, in(from, func() (err error) {
		conn, err = net.DialTimeout("tcp4", listener.Addr().String(), slack.Of(time.Second))
		return err
	}))
	go func() {
		block := make([]byte, 1<<16)
		for err := error(nil); err == nil; _, err = conn.Write(block) {
		}
	}()
	must(s.T, <-full)
	return conn
}
