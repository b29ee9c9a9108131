package e2e

import (
	"fmt"
	"net"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
)

// TestCutUnderFire deletes a container's port while a client sends to it from one port without a pause: after the DEL no flow leads to the container,
// be the address somebody else's the moment after.
func TestCutUnderFire(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				w := newStreet(t)
				w.container("one")
				w.attach("one", network(`"isDefaultGateway": true, `+hostLocal(subnet)))
				w.echo("one", ":53")
				config := w.ports("one", fmt.Sprintf(`"backend": %q`, backend), dns)
				for range 5 {
					succeed(t, "ADD", "portmap", "one", config)
					stop := w.fire("192.0.2.1:5353")
					succeed(t, "DEL", "portmap", "one", config)
					if left := w.leading(w.address("one", true).String()); left != 0 {
						t.Errorf("%d flows lead to the container after its DEL", left)
					}
					stop()
				}
			})
		})
	}
}

// fire sends from outside until it is told to stop, and returns when the first answer is there.
func (w *street) fire(to string) (stop func()) {
	w.Helper()
	ended, done := make(chan struct{}), make(chan struct{})
	var conn net.Conn
	must(w.T, in(outsider, func() (err error) {
		conn, err = net.Dial("udp", to)
		return err
	}))
	go func() {
		defer close(done)
		for {
			select {
			case <-ended:
				return
			default:
				_, _ = conn.Write([]byte("?")) // an error is of an earlier one, which nobody took
			}
		}
	}()
	_, err := conn.Read(make([]byte, 100))
	must(w.T, err)
	return func() { close(ended); <-done; conn.Close() }
}

// leading counts the flows that were led to the address.
func (w *street) leading(address string) (count int) {
	w.Helper()
	flows, err := netlink.ConntrackTableList(netlink.ConntrackTable, unix.AF_INET)
	must(w.T, err)
	for _, f := range flows {
		if f.Reverse.SrcIP.String() == address && f.Forward.DstIP.String() != address {
			count++
		}
	}
	return count
}
