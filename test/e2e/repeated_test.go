package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/nft"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
)

// TestRepeatedDEL repeats a DEL that has nothing to go by, as runtimes do several times a container, on a host with nobody and on one with many, under
// both backends. It must not read more because of the others. What it takes is logged, for docs/performance.md.
func TestRepeatedDEL(t *testing.T) {
	t.Parallel()
	many := 1000
	if os.Getenv("TRESTLE_LONG") != "" {
		many = 10000
	}
	nstest.Run(t, func(t *testing.T) {
		w := newStreet(t)
		w.container("one")
		w.attach("one", network(hostLocal(subnet)))
		for _, backend := range backends { // what all share is there
			config := w.ports("one", fmt.Sprintf(`"backend": %q`, backend), mapping("tcp", 8080, 80, ""))
			succeed(t, "ADD", "portmap", "one", config)
			succeed(t, "DEL", "portmap", "one", config)
		}
		var read [2][]int
		for i, present := range []int{0, many} {
			if present > 0 {
				w.crowded(present)
			}
			for _, backend := range backends {
				config := fmt.Sprintf(`{"cniVersion": "1.1.0", "name": "net", "type": "portmap", "backend": %q}`, backend)
				read[i] = append(read[i], reads(t, config))
				t.Logf("%6d attachments, %s: %s", present, backend, repeated(t, config))
			}
		}
		for i, backend := range backends {
			if read[1][i] > read[0][i]+read[0][i]/4 {
				t.Errorf("%s: %d reads with nobody, %d with %d attachments", backend, read[0][i], read[1][i], many)
			}
		}
	})
}

// crowded gives so many others a masqueraded address and a port each under nftables, and a port each under iptables.
func (w *street) crowded(many int) {
	w.Helper()
	f := nft.Open()
	defer f.Close()
	for i := range many {
		o, addr := owner.Of("net", fmt.Sprint("other", i), "eth0"), netip.MustParseAddr(filler(i))
		within := netip.PrefixFrom(addr, 16).Masked()
		for _, c := range []firewall.Claim{
			{Role: firewall.Masquerade, Masq: []firewall.Masq{{Addr: addr, Subnet: within}}},
			{Role: firewall.Publish, Ports: []firewall.Port{{Protocol: 6, HostPort: uint16(20000 + i), Target: netip.AddrPortFrom(addr, 80), Subnet: within, SNAT: firewall.SNATHairpin}}},
		} {
			_, err := f.Hold(w.Context(), o, c, nil)
			must(w.T, err)
		}
	}
	fillByIPTables(w, many)
}

// repeated is the median time of a DEL with nothing to go by.
func repeated(t *testing.T, config string) time.Duration {
	t.Helper()
	var times []time.Duration
	for range 15 {
		began := time.Now()
		succeed(t, "DEL", "portmap", "nobody", config, "CNI_NETNS=")
		times = append(times, time.Since(began))
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// reads counts what such a DEL reads: answers of the kernel, and files.
func reads(t *testing.T, config string) int {
	t.Helper()
	trace := t.TempDir() + "/trace"
	cmd := exec.Command("strace", "-f", "-o", trace, "-e", "trace=read,recvfrom,recvmsg,execve", os.Getenv(pluginsVar)+"/portmap")
	cmd.Env = []string{"CNI_COMMAND=DEL", "CNI_CONTAINERID=nobody", "CNI_IFNAME=eth0", "CNI_NETNS=", "CNI_PATH=/"}
	cmd.Stdin = strings.NewReader(config)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(trace)
	must(t, err)
	return strings.Count(string(text), "\n")
}
