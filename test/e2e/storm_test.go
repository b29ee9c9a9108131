package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containernetworking/cni/libcni"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// isolated is a network of which another's containers are kept away.
const isolated = `{"cniVersion": "1.1.0", "name": %q, "plugins": [
	{"type": "bridge", "bridge": %q, "isDefaultGateway": true, "ipMasq": true, "ipam": {"type": "host-local", "ranges": [[{"subnet": %q}]]}},
	{"type": "portmap", "capabilities": {"portMappings": true}}, {"type": "firewall", "ingressPolicy": "same-bridge"}]}`

// TestStorm flushes everything again and again, by nft and, in between, as iptables-restore does, while connections live, others begin, and a container of another network
// tries to get in. With -v it says what became of them (docs/watch.md).
func TestStorm(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		s := isolatedPair(t)
		s.storm(size(3, 60), func(i int) {
			sweep(t)
			if i%5 == 4 {
				shell(t, `printf '*filter\n:FORWARD ACCEPT\nCOMMIT\n*nat\nCOMMIT\n' | iptables-restore`)
			}
		}, func() bool { return true })
	})
}

// TestStormFirewalld is the same with a real firewalld, which is reloaded, again and again: it forgets what it was told of addresses.
func TestStormFirewalld(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		stop, err := startFirewalld()
		defer stop()
		must(t, err)
		must(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644))
		isolatedPair(t).storm(size(2, 20), func(int) { shell(t, "firewall-cmd --reload") }, func() bool { return sourced("10.1.0.2/32") && sourced("10.2.0.2/32") })
	})
}

// isolatedPair is two containers, each in a network that keeps the other's away; the first and the outsider send back what they get.
func isolatedPair(t *testing.T) *settled {
	s := &settled{street: newStreet(t), cni: libcni.NewCNIConfigWithCacheDir([]string{os.Getenv(pluginsVar)}, "/var/lib/cni", nil), protocol: "tcp"}
	for i, network := range []string{"net", "other"} {
		var err error
		s.list, err = libcni.ConfListFromBytes(fmt.Appendf(nil, isolated, network, "br-"+network, fmt.Sprintf("10.%d.0.0/24", i+1)))
		must(t, err)
		s.attach(i)
	}
	s.echoes("c0", ":7")
	s.echoes(outsider, ":7")
	return s
}

// storm has somebody disturb, so many times, while connections go on; each time until all is there again, which others may know of, too.
func (s *settled) storm(many int, disturb func(i int), whole func() bool) {
	s.Helper()
	w := s.watch()
	w.says("the plugins have looked")
	marks := strings.Count(ruleset(s.T), "/eth0")
	passages := []*passage{s.passage("published", outsider, "192.0.2.1:20000"), s.passage("masqueraded", "c0", "192.0.2.2:7")}
	in := s.intrudes("c1", "c0", "10.1.0.2:9")
	var storm sync.WaitGroup
	ended := make(chan struct{})
	for _, each := range passages {
		storm.Go(func() { each.lives(ended) })
		storm.Go(func() { each.opens(ended) })
	}
	next := time.NewTicker(storms)
	defer next.Stop()
	var healed []time.Duration
	for i := range many {
		in.turns()
		begun := time.Now()
		disturb(i)
		w.until("all is there again", func(string) bool { return strings.Count(ruleset(s.T), "/eth0") >= marks && whole() }) // of whom a repair was at work on, too
		healed = append(healed, time.Since(begun))
		in.turns()
		<-next.C
	}
	close(ended)
	storm.Wait()
	for _, each := range passages {
		each.report(s.T)
	}
	in.report(s.T)
	slices.Sort(healed)
	s.Logf("%d times: until all is there again half in %s, all in %s", len(healed), healed[len(healed)/2], healed[len(healed)-1])
}

// storms is the time between two flushes.
const storms = 100 * time.Millisecond

// echoes sends back what comes by TCP.
func (s *settled) echoes(container, at string) {
	s.Helper()
	must(s.T, in(container, func() error {
		listener, err := net.Listen("tcp", at)
		if err != nil {
			return err
		}
		s.servers[container] = append(s.servers[container], listener)
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return // the test is over
				}
				go func() {
					_, _ = io.Copy(conn, conn) // until its client ends
					conn.Close()
				}()
			}
		}()
		return nil
	}))
}

// passage is a way by which connections go: one that lives as long as it can, and new ones.
type passage struct {
	name, from, to  string
	died, exchanges int
	longest         time.Duration // without an answer on one that lived
	began, refused  int
	slow            time.Duration // to begin
}

func (s *settled) passage(name, from, to string) *passage {
	return &passage{name: name, from: from, to: to}
}

// exchange sends a byte and waits for it.
func exchange(conn net.Conn) error {
	_ = conn.SetDeadline(time.Now().Add(slack.Of(10 * time.Second)))
	if _, err := conn.Write([]byte("?")); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 1))
	return err
}

// lives keeps a connection busy, and takes another where that dies.
func (w *passage) lives(ended chan struct{}) {
	_ = in(w.from, func() error {
		var conn net.Conn
		for tick := time.NewTicker(5 * time.Millisecond); ; w.exchanges++ {
			select {
			case <-ended:
				return nil
			case <-tick.C:
			}
			begun := time.Now()
			if conn == nil {
				conn, _ = net.DialTimeout("tcp", w.to, slack.Of(10*time.Second)) // in the gap it is refused
				continue
			}
			if exchange(conn) != nil {
				conn.Close()
				w.died, conn = w.died+1, nil
			} else {
				w.longest = max(w.longest, time.Since(begun))
			}
		}
	})
}

// opens begins connections, one after the other.
func (w *passage) opens(ended chan struct{}) {
	_ = in(w.from, func() error {
		for tick := time.NewTicker(10 * time.Millisecond); ; w.began++ {
			select {
			case <-ended:
				return nil
			case <-tick.C:
			}
			begun := time.Now()
			conn, err := net.DialTimeout("tcp", w.to, slack.Of(10*time.Second))
			if err != nil {
				w.refused++
				continue
			}
			w.slow = max(w.slow, time.Since(begun))
			conn.Close()
		}
	})
}

func (w *passage) report(t *testing.T) {
	t.Logf("%s: %d exchanges on one connection, the longest in %s; %d died; %d connections began, the slowest in %s; %d were refused", w.name, w.exchanges, w.longest, w.died,
		w.began, w.slow, w.refused)
	if w.exchanges == 0 || w.began == w.refused {
		t.Errorf("%s: nothing went", w.name)
	}
}

// intruder sends all the time to where it may not, and is heard in the gaps alone.
type intruder struct {
	mu      sync.Mutex
	open    int64                  // odd: a gap
	gaps    map[int64][2]time.Time // by open: the first and the last that was heard
	between map[int64]int          // heard, and sent when there was no gap, by open
}

func (s *settled) intrudes(from, container, to string) *intruder {
	s.Helper()
	i := &intruder{gaps: make(map[int64][2]time.Time), between: make(map[int64]int)}
	var receives, sends net.Conn
	must(s.T, in(container, func() error {
		packets, err := net.ListenUDP("udp", &net.UDPAddr{Port: 9})
		receives = packets
		return err
	}))
	must(s.T, in(from, func() (err error) { sends, err = net.Dial("udp", to); return err }))
	s.Cleanup(func() { receives.Close(); sends.Close() })
	go func() {
		for tick := time.NewTicker(time.Millisecond); ; <-tick.C {
			i.mu.Lock() // a datagram that is sent late would be of another gap
			_, err := fmt.Fprint(sends, i.open)
			i.mu.Unlock()
			if err != nil {
				return // the test is over
			}
		}
	}()
	go i.hears(receives)
	return i
}

// turns begins a gap, or ends it.
func (i *intruder) turns() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.open++
}

func (i *intruder) hears(conn net.Conn) {
	for buffer := make([]byte, 20); ; {
		n, err := conn.Read(buffer)
		if err != nil {
			return // the test is over
		}
		sent, _ := strconv.ParseInt(string(buffer[:n]), 10, 64)
		i.mu.Lock()
		if now, gap := time.Now(), i.gaps[sent]; sent%2 == 0 {
			i.between[sent]++
		} else if gap[0].IsZero() {
			i.gaps[sent] = [2]time.Time{now, now}
		} else {
			i.gaps[sent] = [2]time.Time{gap[0], now}
		}
		i.mu.Unlock()
	}
}

func (i *intruder) report(t *testing.T) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var longest time.Duration
	for _, gap := range i.gaps {
		longest = max(longest, gap[1].Sub(gap[0]))
	}
	t.Logf("the isolation was open in %d gaps, for %s at the longest", len(i.gaps), longest)
	if len(i.between) > 0 {
		t.Errorf("datagrams got in while the rules were there: %v", i.between)
	}
}
