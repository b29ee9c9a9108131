package e2e

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
	"github.com/trestle-cni/trestle/test/snapshot"
)

// shapedRate is in bits a second. What arrives of it is less than a stream's share of full Ethernet frames: 1448 of 1514 bytes.
const shapedRate, shapedBurst = 16_000_000, 160_000

const shapedKeys = `"ingressRate": 16000000, "ingressBurst": 160000, "egressRate": 16000000, "egressBurst": 160000`

// shaped is a container on a bridge with the bandwidth's configuration after it.
type shaped struct {
	*testing.T
	prev string
}

func newShaped(t *testing.T, ifName string) shaped {
	r := succeed(t, "ADD", "bridge", "c1", network(`"cniVersion": "1.0.0", "isGateway": true, `+hostLocal(subnet)), "CNI_IFNAME="+ifName)
	return shaped{t, string(r.Out)}
}

func (s shaped) config(keys string) string {
	return `{"cniVersion": "1.0.0", "name": "net", "type": "bandwidth", ` + keys + `, "prevResult": ` + s.prev + `}`
}

func (s shaped) host() string { return owner.Of("net", "c1", "eth0").HostLink() }

// run runs a command as an operator does.
func (s shaped) run(command string) string {
	s.Helper()
	words := strings.Fields(command)
	out, err := exec.Command("/usr/sbin/"+words[0], words[1:]...).CombinedOutput()
	if err != nil {
		s.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

// stream sends so many bytes from one namespace to the other, and returns how many a second they were, less the burst, from before the first was sent until the
// last was read. So what keeps either side from its work makes it less, and nothing makes it more.
func (s shaped) stream(from, to, address string, size int) float64 {
	s.Helper()
	var listener net.Listener
	must(s.T, in(to, func() (err error) { listener, err = net.Listen("tcp4", address+":0"); return err }))
	defer listener.Close()
	ended := make(chan time.Time, 1)
	go func() {
		defer close(ended)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if _, err := io.CopyN(io.Discard, conn, int64(size)); err == nil {
			ended <- time.Now()
		}
	}()
	var conn net.Conn
	began := time.Now()
	must(s.T, in(from, func() (err error) {
		conn, err = net.DialTimeout("tcp4", listener.Addr().String(), slack.Of(10*time.Second))
		return err
	}))
	defer conn.Close()
	must(s.T, conn.SetDeadline(time.Now().Add(slack.Of(20*time.Second))))
	_, err := conn.Write(make([]byte, size))
	must(s.T, err)
	end, arrived := <-ended
	if !arrived {
		s.Fatal("the stream did not arrive")
	}
	return float64(size-shapedBurst/8) / end.Sub(began).Seconds()
}

// directions are both directions: from, to, and the address of whoever listens.
var directions = map[string][3]string{"to the container": {"host", "c1", "10.1.0.2"}, "from the container": {"c1", "host", "10.1.0.1"}}

// holdRate wants the rate reached, and never exceeded. A busy machine may be too slow for a stream, so the best of some counts.
func (s shaped) holdRate() {
	s.Helper()
	const want = shapedRate / 8 * 1448.0 / 1514
	for name, way := range directions {
		var best float64
		for end := time.Now().Add(slack.Of(15 * time.Second)); best < 0.95*want && time.Now().Before(end); {
			best = max(best, s.stream(way[0], way[1], way[2], 2_000_000))
		}
		if best < 0.95*want || best > 1.05*want {
			s.Errorf("%s: %.0f bytes a second, want %.0f within 5 of 100", name, best, want)
		}
	}
}

// TestBandwidth wants each direction as fast as asked for.
func TestBandwidth(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		nstest.Namespace(t, "c1")
		s := newShaped(t, "eth0")
		succeed(t, "ADD", "bandwidth", "c1", s.config(shapedKeys))
		s.holdRate()
	})
}

// TestBandwidthDrift wants whatever CHECK is to see named, and made again by repair, and nothing left.
func TestBandwidthDrift(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		nstest.Namespace(t, "c1")
		s := newShaped(t, "eth0")
		before := snapshot.Take(t, netnsDir+"c1")
		config := s.config(shapedKeys)
		result := string(succeed(t, "ADD", "bandwidth", "c1", config).Out)
		final := shaped{t, result}.config(shapedKeys)
		succeed(t, "CHECK", "bandwidth", "c1", final)
		made, mirror := s.listed(), regexp.MustCompile(`bwp[0-9a-f]{12}`).FindString(result)
		for harm, word := range map[string]string{
			"tc qdisc del dev " + s.host() + " root":                                                    "queue of " + s.host(),
			"tc qdisc del dev " + mirror + " root":                                                      "queue of " + mirror,
			"tc qdisc replace dev " + mirror + " root handle 1: tbf rate 1mbit burst 1600 latency 25ms": "queue of " + mirror,
			"tc filter del dev " + s.host() + " ingress":                                                "led to " + mirror,
			"tc qdisc del dev " + s.host() + " ingress":                                                 "led to " + mirror,
			"ip link set " + mirror + " down":                                                           "link " + mirror + ": expected up, found down",
			"ip link del " + mirror:                                                                     "link " + mirror,
		} {
			s.run(harm)
			r, err := invoke("CHECK", "bandwidth", "c1", final)
			must(t, err)
			if r.Status == 0 || !strings.Contains(r.Msg, word) {
				t.Errorf("after %s CHECK says %q, want %q", harm, r.Msg, word)
			}
			succeed(t, "REPAIR", "bandwidth", "c1", final)
			succeed(t, "CHECK", "bandwidth", "c1", final)
			if diff := cmp.Diff(made, s.listed()); diff != "" {
				t.Errorf("after %s and repair (-before +after):\n%s", harm, diff)
			}
		}
		succeed(t, "DEL", "bandwidth", "c1", config)
		succeed(t, "DEL", "bandwidth", "c1", config)
		if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1")); diff != "" {
			t.Errorf("the state is not as it was:\n%s", diff)
		}
	})
}

// TestBandwidthBeside wants it to work beside somebody's clsact, which stays, and for a second interface of the container.
func TestBandwidthBeside(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		nstest.Namespace(t, "c1")
		s := newShaped(t, "eth0")
		s.run("tc qdisc add dev " + s.host() + " clsact")
		s.run("tc filter add dev " + s.host() + " ingress protocol ip prio 5 u32 match u32 0 0 flowid 1:1")
		s.run("tc filter del dev " + s.host() + " ingress protocol ip prio 5")
		first := snapshot.Take(t, netnsDir+"c1")
		for _, keys := range []string{`, "unshapedSubnets": ["192.0.2.0/25", "fd00::/8"]`, `, "shapedSubnets": ["10.0.0.0/8", "fd00::/8"]`} {
			result := string(succeed(t, "ADD", "bandwidth", "c1", s.config(shapedKeys+keys)).Out)
			succeed(t, "CHECK", "bandwidth", "c1", shaped{t, result}.config(shapedKeys+keys))
			s.run("ip link del " + regexp.MustCompile(`bwp[0-9a-f]{12}`).FindString(result))
			succeed(t, "REPAIR", "bandwidth", "c1", shaped{t, result}.config(shapedKeys+keys))
			succeed(t, "DEL", "bandwidth", "c1", s.config(shapedKeys))
			if diff := snapshot.Diff(first, snapshot.Take(t, netnsDir+"c1")); diff != "" {
				t.Errorf("with %s the state is not as it was:\n%s", keys, diff)
			}
		}
		succeed(t, "ADD", "bandwidth", "c1", s.config(shapedKeys))
		s.holdRate()
		other := newShaped(t, "eth1")
		succeed(t, "ADD", "bandwidth", "c1", other.config(shapedKeys), "CNI_IFNAME=eth1")
		succeed(t, "DEL", "bandwidth", "c1", s.config(shapedKeys))
		if list := s.run("ip -brief link show type ifb"); strings.Count(list, "bwp") != 1 {
			t.Errorf("of two links one should be left:\n%s", list)
		}
		succeed(t, "DEL", "bandwidth", "c1", other.config(shapedKeys), "CNI_IFNAME=eth1")
		succeed(t, "DEL", "bridge", "c1", network(`"cniVersion": "1.0.0", "isGateway": true, `+hostLocal(subnet)), "CNI_IFNAME=eth1")
		if diff := snapshot.Diff(first, snapshot.Take(t, netnsDir+"c1")); diff != "" {
			t.Errorf("the state is not as it was:\n%s", diff)
		}
	})
}

// TestBandwidthSubnets wants some traffic left alone, and some other alone bound.
func TestBandwidthSubnets(t *testing.T) {
	for keys, bound := range map[string]bool{
		`"unshapedSubnets": ["10.1.0.0/24", "fd00::/8"]`:  false,
		`"unshapedSubnets": ["192.0.2.0/25", "fd00::/8"]`: true,
		`"shapedSubnets": ["10.0.0.0/8"]`:                 true,
		`"shapedSubnets": ["192.0.2.0/24", "::/0"]`:       false,
	} {
		t.Run(keys, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				nstest.Namespace(t, "c1")
				s := newShaped(t, "eth0")
				before := snapshot.Take(t, netnsDir+"c1")
				result := string(succeed(t, "ADD", "bandwidth", "c1", s.config(shapedKeys+", "+keys)).Out)
				succeed(t, "CHECK", "bandwidth", "c1", shaped{t, result}.config(shapedKeys+", "+keys))
				if bound {
					s.holdRate()
				} else {
					for name, way := range directions {
						if got := s.stream(way[0], way[1], way[2], 8_000_000); got < shapedRate/8*2 {
							t.Errorf("%s: %.0f bytes a second, as if it were bound", name, got)
						}
					}
				}
				succeed(t, "DEL", "bandwidth", "c1", s.config(shapedKeys))
				if diff := snapshot.Diff(before, snapshot.Take(t, netnsDir+"c1")); diff != "" {
					t.Errorf("the state is not as it was:\n%s", diff)
				}
			})
		})
	}
}

// TestBandwidthOrphan wants a link whose attachment is gone found by a GC, with the runtime's list and without.
func TestBandwidthOrphan(t *testing.T) {
	t.Parallel()
	for _, valid := range []string{`, "cni.dev/valid-attachments": []`, ``} {
		nstest.Run(t, func(t *testing.T) {
			nstest.Namespace(t, "c1")
			s := newShaped(t, "eth0")
			succeed(t, "ADD", "bandwidth", "c1", s.config(shapedKeys))
			s.run("ip link del " + s.host())
			nstest.Remove(t, netnsDir+"c1")
			succeed(t, "GC", "bandwidth", "c1", `{"cniVersion": "1.1.0", "name": "net", "type": "bandwidth"`+valid+`}`)
			if list := s.run("ip -brief link show type ifb"); list != "" {
				t.Errorf("left:\n%s", list)
			}
		})
	}
}

// TestBandwidthInterchange wants the same queues, filters and names as the reference's, to the byte, less the fair queue inside of ours, and that each checks and undoes what the other made.
func TestBandwidthInterchange(t *testing.T) {
	for _, build := range suites() {
		for _, keys := range []string{shapedKeys, `"ingressRate": 8000000, "ingressBurst": 800000`, `"runtimeConfig": {"bandwidth": {"EgressRate": 1000000, "EgressBurst": 2147483647}}`} {
			t.Run(filepath.Base(build.dir), func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) {
					nstest.Namespace(t, "c1")
					s := newShaped(t, "eth0")
					config, before := s.config(keys), s.listed()
					ours := string(succeed(t, "ADD", "bandwidth", "c1", config).Out)
					made := s.listed()
					build.call(t, "CHECK", "bandwidth", "c1", shaped{t, ours}.config(keys))
					build.call(t, "DEL", "bandwidth", "c1", config)
					succeed(t, "DEL", "bandwidth", "c1", config)
					if diff := cmp.Diff(before, s.listed()); diff != "" {
						t.Errorf("left of ours (-before +after):\n%s", diff)
					}
					theirs := string(build.call(t, "ADD", "bandwidth", "c1", config))
					made = regexp.MustCompile(` qdisc fq_codel .*? drop_batch \d+`).ReplaceAllString(made, "")
					if diff := cmp.Diff(s.listed(), made); diff != "" {
						t.Errorf("tc (-reference +ours):\n%s", diff)
					}
					succeed(t, "CHECK", "bandwidth", "c1", shaped{t, theirs}.config(keys))
					succeed(t, "DEL", "bandwidth", "c1", config, "CNI_NETNS=")
					succeed(t, "DEL", "bandwidth", "c1", config)
					if diff := cmp.Diff(before, s.listed()); diff != "" {
						t.Errorf("left of the reference's (-before +after):\n%s", diff)
					}
				})
			})
		}
	}
}

// listed is what tc and ip say, less what is drawn by lot or counted.
func (s shaped) listed() string {
	s.Helper()
	text := s.run("tc -d qdisc show") + s.run("tc -d filter show dev "+s.host()+" ingress") + s.run("ip -o -d link show type ifb")
	for _, drawn := range []string{`(?m)^\d+: `, `index \d+`, `link/ether [0-9a-f:]+`, `alias .*`, ` (un)?used \d+ sec`, `\\`} {
		text = regexp.MustCompile(drawn).ReplaceAllString(text, "")
	}
	return fmt.Sprint(strings.Join(strings.Fields(text), " "))
}
