package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// TestServerWithAnotherMAC: a server, or who stands before it, has another Ethernet address from time to time, as a bridge has with each container. Leases are renewed by it,
// and given back to it, by the daemon and without one.
func TestServerWithAnotherMAC(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		s := newServed(t, append(often, pool)...)
		s.start()
		nstest.Namespace(t, "c1")
		config := dhcpConfig("")
		for n, without := range []bool{false, true} {
			address := strings.TrimSuffix(addressOf(t, succeed(t, "ADD", "bridge", "c1", config).Out), "/24")
			s.server.await("DHCPACK(lan0) " + address)
			s.moves(2 * n)
			s.server.await("DHCPACK(lan0) " + address)
			s.moves(2*n + 1)
			if without {
				s.daemon.end(syscall.SIGTERM)
			}
			succeed(t, "DEL", "bridge", "c1", config)
			s.server.await("DHCPRELEASE(lan0) " + address)
		}
	})
}

// TestRebind: a lease whose server does not answer is renewed by whoever does, as soon as everybody may be asked.
func TestRebind(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		const long = "--dhcp-range=10.9.0.10,10.9.0.20,255.255.255.0,12h"
		s := newServed(t, append(often, long)...)
		s.start()
		nstest.Namespace(t, "c1")
		address := strings.TrimSuffix(addressOf(t, succeed(t, "ADD", "bridge", "c1", dhcpConfig("")).Out), "/24")
		s.server.kill()
		shell(t, "ip address del 10.9.0.1/24 dev lan0; ip address add 10.9.0.3/24 dev lan0")
		s.serve(append(often, long)...)
		s.server.await("DHCPACK(lan0) " + address)
		succeed(t, "DEL", "bridge", "c1", dhcpConfig(""))
		s.server.await("DHCPRELEASE(lan0) " + address)
	})
}

// moves gives the server an Ethernet address that it never had.
func (s *served) moves(n int) {
	s.Helper()
	if out, err := exec.Command("ip", "link", "set", "lan0", "address", fmt.Sprintf("02:00:00:00:01:%02x", n)).CombinedOutput(); err != nil {
		s.Fatalf("%v: %s", err, out)
	}
}

// many is how many leases TestManyLeases has, and after how many seconds they are renewed.
func many() (leases, seconds int) {
	if os.Getenv("TRESTLE_LONG") != "" {
		return 1000, 60
	}
	return 50, 5
}

// TestManyLeases has one daemon keep the leases of many containers, each in a namespace of its own, and renew them as they are due; and the daemon that comes after it renew all
// at the same time. It takes few threads and little memory: 1,000 in a long run.
func TestManyLeases(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		leases, seconds := many()
		s := newServed(t, "--dhcp-range=10.9.16.1,10.9.31.254,255.255.0.0,1h", "--dhcp-lease-max=2000", fmt.Sprintf("--dhcp-option-force=option:T1,%d", seconds),
			fmt.Sprintf("--dhcp-option-force=option:T2,%d", 2*seconds))
		if out, err := exec.Command("ip", "address", "add", "10.9.0.2/16", "dev", "lan0").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		s.start("-broadcast") // a server's kernel has room for 1,024 neighbours, in all namespaces together
		var added sync.WaitGroup
		defer added.Wait()
		queue := make(chan string)
		for range slack.Crowd(8) {
			added.Go(func() {
				for name := range queue {
					if got, err := invoke("ADD", "bridge", name, dhcpConfig("")); err != nil || got.Status != 0 {
						t.Errorf("ADD of %s: %v: %+v", name, err, got)
						s.server.kill() // nobody is to wait for that lease
					}
				}
			})
		}
		go func() {
			defer close(queue)
			for n := range leases {
				nstest.Namespace(t, "c"+strconv.Itoa(n))
				queue <- "c" + strconv.Itoa(n)
			}
		}()
		s.granted(leases, 2)
		added.Wait()
		s.takes("renewed one after the other", leases)
		s.daemon.kill()
		for _, r := range records(t) {
			r.Began -= time.Duration(seconds) * time.Second
			must(t, r.Write("/run/cni/dhcp.leases"))
		}
		s.start()
		s.granted(leases, 1)
		s.takes("renewed all together", leases)
	})
}

var acknowledged = regexp.MustCompile(`DHCPACK\(lan0\) ([\d.]+) `)

// granted waits until the server has granted so many leases, each so often.
func (s *served) granted(leases, often int) {
	s.Helper()
	times, whole := make(map[string]int), 0
	for whole < leases {
		if m := acknowledged.FindStringSubmatch(s.server.await("DHCPACK(lan0)")); m != nil {
			if times[m[1]]++; times[m[1]] == often {
				whole++
			}
		}
	}
}

// takes looks at what the daemon takes for the leases that it has.
func (s *served) takes(when string, leases int) {
	s.Helper()
	if list := records(s.T); len(list) != leases {
		s.Errorf("%s: %d leases, want %d", when, len(list), leases)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.daemon.cmd.Process.Pid))
	must(s.T, err)
	for key, most := range map[string]int{"Threads:": 19, "VmHWM:": 60 << 10} {
		_, rest, _ := strings.Cut(string(status), key)
		got, err := strconv.Atoi(strings.Fields(rest)[0])
		s.Logf("%d leases, %s: %s %d", leases, when, key, got)
		if err != nil || got > most {
			s.Errorf("%d leases, %s: %s %d, want at most %d", leases, when, key, got, most)
		}
	}
}
