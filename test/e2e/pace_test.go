package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/peer"
)

// way is how a host comes to have published ports: each container has one, of tcp and of udp.
type way struct {
	name string
	fill func(w *street, containers int) // of containers that are not there
	last func(w *street, port int)       // of the container that serves
}

// The reference's plugin of Debian writes iptables. Its first container's rules are its own, and so are the last one's; those between are copies of the
// first one's, since by its own ADDs ten thousand would take a day. What a newer version of it writes for nftables is by hand, after its source.
func ways() []way {
	return []way{
		{"ours, nftables", fillByUs, func(w *street, port int) {
			succeed(w.T, "ADD", "portmap", "one", w.ports("one", "", pair(port)...))
		}},
		{"the reference, iptables", fillByIPTables, func(w *street, port int) {
			w.reference("portmap", "one", w.ports("one", "", pair(port)...))
		}},
		{"the reference, nftables", fillByNFT, func(w *street, port int) {
			w.nftFile(referenceRules(port, "one", w.address("one", true).String()))
		}},
	}
}

const firstPort = 2000

func pair(port int) []string {
	return []string{mapping("tcp", port, 80, ""), mapping("udp", port, 80, "")}
}

// filler is the address of a container that is not there.
func filler(i int) string { return fmt.Sprintf("10.9.%d.%d", i/250, i%250+1) }

// TestPace publishes few and many ports, by us and by the reference, and begins flows through the last of them. What that takes is logged, for
// docs/performance.md, and not judged: the machine may have other work. That the number of our rules does not depend on ports and containers is.
func TestPace(t *testing.T) {
	t.Parallel()
	sizes := []int{10, 1000}
	if os.Getenv("TRESTLE_LONG") != "" {
		sizes = append(sizes, 10000)
	}
	nstest.Run(t, func(t *testing.T) {
		w := newStreet(t)
		w.container("one")
		w.attach("one", network(`"isDefaultGateway": true, `+hostLocal(subnet)))
		w.serve("one", "tcp", ":80")
		w.serve("one", "udp", ":80")
		counts := make(map[int]bool)
		for _, size := range sizes {
			for i, way := range ways() {
				w.nft("flush ruleset")
				way.fill(w, size-1)
				way.last(w, firstPort+size-1)
				if i == 0 {
					counts[rules(t)] = true
				}
				to := fmt.Sprintf("192.0.2.1:%d", firstPort+size-1)
				tcp, udp := w.pace("tcp", to), w.pace("udp", to)
				for range 2 {
					tcp, udp = tcp.best(w.pace("tcp", to)), udp.best(w.pace("udp", to))
				}
				t.Logf("%6d ports, %-24s %6.0f connections a second, %s to connect, %s for a first datagram and its answer (medians, the best of three)",
					size, way.name+":", tcp.rate, tcp.median, udp.median)
			}
		}
		if len(counts) != 1 {
			t.Errorf("the number of rules depends on the number of ports: %v", counts)
		}
	})
}

// rules counts the rules of all tables.
func rules(t *testing.T) (count int) {
	t.Helper()
	conn, err := nftables.New()
	must(t, err)
	chains, err := conn.ListChains()
	must(t, err)
	for _, chain := range chains {
		list, err := conn.GetRules(chain.Table, chain)
		must(t, err)
		count += len(list)
	}
	return count
}

// fillByUs makes calls of many ports each, which leave the same elements as one call a container.
func fillByUs(w *street, containers int) {
	const each = 250
	for from := 0; from < containers; from += each {
		var mappings []string
		for i := from; i < min(from+each, containers); i++ {
			mappings = append(mappings, pair(firstPort+i)...)
		}
		config := strings.ReplaceAll(w.ports("one", "", mappings...), w.address("one", true).String(), filler(from))
		succeed(w.T, "ADD", "portmap", fmt.Sprint("filler", from), config, "CNI_NETNS="+netnsDir+"one")
	}
}

// atOnce is for how many containers rules are added at once. Many more do not fit the socket of one who is no root.
const atOnce = 40

// fillByIPTables has the reference publish for one container, and copies its rules.
func fillByIPTables(w *street, containers int) {
	w.Helper()
	config := strings.ReplaceAll(w.ports("one", "", pair(firstPort)...), w.address("one", true).String(), filler(0))
	w.reference("portmap", "filler0", strings.ReplaceAll(config, "1.1.0", "1.0.0"))
	saved, err := exec.Command("iptables-save", "-t", "nat").Output()
	must(w.T, err)
	for from := 1; from < containers; from += atOnce {
		var text strings.Builder
		for i := from; i < min(from+atOnce, containers); i++ {
			text.WriteString(copied(string(saved), i))
		}
		restore := exec.Command("iptables-restore", "--noflush")
		restore.Stdin = strings.NewReader("*nat\n" + text.String() + "COMMIT\n")
		if out, err := restore.CombinedOutput(); err != nil {
			w.Fatalf("iptables-restore: %v\n%s", err, out)
		}
	}
}

// copied is what iptables-save printed of the first container, for another one.
func copied(saved string, i int) string {
	var text strings.Builder
	for line := range strings.Lines(saved) {
		at := strings.Index(line, "CNI-DN-")
		if at < 0 {
			continue
		}
		chain := line[at : at+len("CNI-DN-")+21]
		port, own := fmt.Sprint("ports ", firstPort, " "), fmt.Sprint("ports ", firstPort+i, " ")
		text.WriteString(strings.NewReplacer(chain, fmt.Sprintf("CNI-DN-%021x", i), "filler0", fmt.Sprint("filler", i),
			port, own, strings.TrimPrefix(port, "ports"), strings.TrimPrefix(own, "ports"), filler(0)+":", filler(i)+":").Replace(line))
	}
	return text.String()
}

func fillByNFT(w *street, containers int) {
	w.Helper()
	var text strings.Builder
	text.WriteString(`table ip cni_hostport {
		chain hostports { }
		chain hostip_hostports { }
		chain hostports_all { jump hostip_hostports; jump hostports; }
		chain prerouting { type nat hook prerouting priority -100; fib daddr type local jump hostports_all; }
		chain output { type nat hook output priority -100; fib daddr type local jump hostports_all; }
		chain masquerading { type nat hook postrouting priority 100; }
	}
`)
	for i := range containers {
		text.WriteString(referenceRules(firstPort+i, fmt.Sprint("filler", i), filler(i)))
		if i%atOnce == 0 || i == containers-1 {
			w.nftFile(text.String())
			text.Reset()
		}
	}
}

// referenceRules is what the reference's nftables backend adds for a container that publishes a port.
func referenceRules(port int, container, address string) string {
	const rule = "add rule ip cni_hostport "
	return fmt.Sprintf(rule+"hostports tcp dport %[1]d dnat to %[3]s:80 comment %[2]q\n"+
		rule+"hostports udp dport %[1]d dnat to %[3]s:80 comment %[2]q\n"+
		rule+"masquerading ip saddr %[3]s ip daddr %[3]s masquerade comment %[2]q\n"+
		rule+"masquerading ip saddr 127.0.0.1 ip daddr %[3]s masquerade comment %[2]q\n", port, container, address)
}

func (w *street) nftFile(text string) {
	w.Helper()
	load := exec.Command("nft", "-f", "-")
	load.Stdin = strings.NewReader(text)
	if out, err := load.CombinedOutput(); err != nil {
		w.Fatalf("nft: %v\n%s", err, out)
	}
}

// reference calls ADD of one of the reference's plugins.
func (w *street) reference(plugin, container, config string) {
	w.Helper()
	cmd := exec.Command("/usr/lib/cni/" + plugin)
	cmd.Env = append(os.Environ(), "CNI_COMMAND=ADD", "CNI_CONTAINERID="+container, "CNI_IFNAME=eth0", "CNI_NETNS="+netnsDir+"one", "CNI_PATH=/usr/lib/cni")
	cmd.Stdin = strings.NewReader(strings.ReplaceAll(config, `"cniVersion": "1.1.0"`, `"cniVersion": "1.0.0"`))
	if out, err := cmd.CombinedOutput(); err != nil {
		w.Fatalf("ADD of the reference's %s: %v\n%s", plugin, err, out)
	}
}

// pace is how many flows begin in a second, one after the other, and the median of the time for one.
type pace struct {
	rate   float64
	median time.Duration
}

func (p pace) best(other pace) pace {
	return pace{max(p.rate, other.rate), min(p.median, other.median)}
}

// pace begins flows from outside.
func (w *street) pace(network, to string) pace {
	w.Helper()
	const flows = 300
	var times []time.Duration
	must(w.T, in(outsider, func() (err error) {
		times, err = peer.Flows(network, to, flows, soon())
		return err
	}))
	total := time.Duration(0)
	for _, each := range times {
		total += each
	}
	slices.Sort(times)
	return pace{flows / total.Seconds(), times[flows/2]}
}
