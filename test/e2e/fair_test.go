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

// TestFairQueue wants a question answered while a stream takes all that is allowed, at 10 Mbit/s, in half of the time at the most that it takes with the
// reference's queue, behind which everything waits: both measured here, one after the other. The kernel below `make test` has no fq_codel.
func TestFairQueue(t *testing.T) {
	const keys = `"ingressRate": 10000000, "ingressBurst": 100000, "egressRate": 10000000, "egressBurst": 100000`
	nstest.Run(t, func(t *testing.T) {
		nstest.Namespace(t, "c1")
		s := newShaped(t, "eth0")
		plain := suite{dir: reference.Newest.Dir}
		plain.call(t, "ADD", "bandwidth", "c1", s.config(keys))
		theirs := s.waits()
		plain.call(t, "DEL", "bandwidth", "c1", s.config(keys))
		s.run("tc qdisc del dev " + s.host() + " root") // which the reference leaves
		s.run("tc qdisc del dev " + s.host() + " ingress")
		succeed(t, "ADD", "bandwidth", "c1", s.config(keys))
		for name, ours := range s.waits() {
			t.Logf("%s: %v under load, with the reference's queue %v: ratio %.2f", name, ours, theirs[name], float64(ours)/float64(theirs[name]))
			if ours > theirs[name]/2 {
				t.Errorf("%s: an answer takes %v under load, with the reference's queue %v", name, ours, theirs[name])
			}
		}
		succeed(t, "DEL", "bandwidth", "c1", s.config(keys))
	})
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
