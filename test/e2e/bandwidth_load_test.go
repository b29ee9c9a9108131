package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// filled is a stream that fills a queue until it is closed, and how many bytes arrived. Its sender is Reno, whose only measure is what is dropped: another one would keep the queue short by itself.
type filled struct {
	conn net.Conn
	came chan int64
}

func (s shaped) fill(way [3]string) filled {
	s.Helper()
	var listener net.Listener
	must(s.T, in(way[1], func() (err error) { listener, err = net.Listen("tcp4", way[2]+":0"); return err }))
	f := filled{came: make(chan int64, 1)}
	go func() {
		defer listener.Close()
		conn, err := listener.Accept()
		if err != nil {
			f.came <- 0
			return
		}
		defer conn.Close()
		n, _ := io.Copy(io.Discard, conn)
		f.came <- n
	}()
	reno := func(_, _ string, c syscall.RawConn) (err error) {
		_ = c.Control(func(fd uintptr) { err = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno") })
		return err
	}
	must(s.T, in(way[0], func() (err error) {
		f.conn, err = (&net.Dialer{Timeout: slack.Of(10 * time.Second), Control: reno}).Dial("tcp4", listener.Addr().String())
		return err
	}))
	go func() { _, _ = io.Copy(f.conn, endless{}) }()
	return f
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// pings is the middle of some round trips of a small packet which goes the stream's way and comes back by the other. The first are from before the queue is full.
func (s shaped) pings(way [3]string) time.Duration {
	s.Helper()
	var echo net.PacketConn
	must(s.T, in(way[1], func() (err error) { echo, err = net.ListenPacket("udp4", way[2]+":0"); return err }))
	defer echo.Close()
	go func() {
		for buffer := make([]byte, 64); ; {
			n, from, err := echo.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = echo.WriteTo(buffer[:n], from)
		}
	}()
	var conn net.Conn
	must(s.T, in(way[0], func() (err error) { conn, err = net.Dial("udp4", echo.LocalAddr().String()); return err }))
	defer conn.Close()
	var times []time.Duration
	for end := time.Now().Add(time.Duration(size(1, 2)) * time.Second); time.Now().Before(end); {
		began, text := time.Now(), strconv.Itoa(len(times))
		_, _ = conn.Write([]byte(text))
		_ = conn.SetReadDeadline(began.Add(500 * time.Millisecond)) // it may be dropped
		buffer := make([]byte, 64)
		if n, err := conn.Read(buffer); err == nil && string(buffer[:n]) == text {
			times = append(times, time.Since(began))
		}
	}
	if len(times) < 3 {
		s.Fatalf("%d packets came back", len(times))
	}
	times = times[len(times)/3:]
	slices.Sort(times)
	return times[len(times)/2]
}

// loaded are the pings beside a stream, and the stream's bits a second on the wire.
func (s shaped) loaded(way [3]string) (time.Duration, float64) {
	f := s.fill(way)
	began := time.Now()
	ping := s.pings(way)
	f.conn.Close()
	return ping, float64(<-f.came) * 8 * 1514 / 1448 / time.Since(began).Seconds()
}

// TestBandwidthUnderLoad holds that a stream gets no more than its rate, whatever the machine does beside. TRESTLE_LONG=1 prints the table of docs/measurements.md,
// and there, on a machine without other work, a packet waits no longer beside a stream than under the reference, and with `latency` less.
func TestBandwidthUnderLoad(t *testing.T) {
	rates, quiet := []int{16}, os.Getenv("TRESTLE_LONG") != ""
	if quiet {
		rates = []int{10, 100}
	}
	for _, rate := range rates {
		keys := fmt.Sprintf(`"ingressRate": %d, "ingressBurst": %[2]d, "egressRate": %[1]d, "egressBurst": %[2]d`, rate*1e6, max(rate*2000, 80_000))
		for direction, way := range directions {
			t.Run(fmt.Sprintf("%d Mbit %s", rate, direction), func(t *testing.T) {
				nstest.Run(t, func(t *testing.T) {
					nstest.Namespace(t, "c1")
					s, got := newShaped(t, "eth0"), make(map[string]time.Duration)
					for _, who := range []string{"reference", "ours", "ours, latency 4"} {
						got[who] = s.pinged(who, keys, way, rate)
					}
					if !quiet {
						return
					}
					if got["ours"] > got["reference"]*3/2 {
						t.Errorf("ping %v, with the reference %v", got["ours"], got["reference"])
					}
					if got["ours, latency 4"] > got["reference"] {
						t.Errorf("ping %v with a latency of 4 ms, with the reference %v", got["ours, latency 4"], got["reference"])
					}
				})
			})
		}
	}
}

// pinged measures one of them, and takes it away again.
func (s shaped) pinged(who, keys string, way [3]string, rate int) time.Duration {
	s.Helper()
	config := s.config(keys)
	switch who {
	case "reference":
		suites()[1].call(s.T, "ADD", "bandwidth", "c1", config)
	case "ours":
		succeed(s.T, "ADD", "bandwidth", "c1", config)
	default:
		succeed(s.T, "ADD", "bandwidth", "c1", s.config(keys+`, "latency": 4`))
	}
	ping, speed := s.loaded(way)
	s.Logf("| %s | %.1f | %.1f |", who, speed/1e6, float64(ping.Microseconds())/1000)
	if speed > 1.05*1e6*float64(rate) {
		s.Errorf("%s: %.1f Mbit/s of %d", who, speed/1e6, rate)
	}
	succeed(s.T, "DEL", "bandwidth", "c1", config)
	return ping
}
