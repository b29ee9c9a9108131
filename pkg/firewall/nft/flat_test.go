package nft

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
)

// TestFlat publishes few and many ports: the number of rules does not depend on it. What a connection through the last of them takes is
// logged, for docs/performance.md, and not judged: the machine may have other work.
func TestFlat(t *testing.T) {
	sizes := []int{10, 1000}
	if os.Getenv("TRESTLE_LONG") != "" {
		sizes = append(sizes, 10000)
	}
	nstest.Run(t, func(t *testing.T) {
		w := build(t)
		w.serve(w.one, "one", ":80")
		const first = 2000
		held, few := 0, 0
		for _, size := range sizes {
			for ; held < size; held += 10 {
				w.claim(fmt.Sprint("c", held), ports(first+held, 10))
			}
			last := fmt.Sprintf("192.0.2.1:%d", first+size-1)
			rate, connect := w.pace("tcp", last)
			_, datagram := w.pace("udp", last)
			t.Logf("%6d ports: %6.0f connections a second, %s to connect, %s for a first datagram and its answer (medians)", size, rate, connect, datagram)
			many := rules(t)
			if few == 0 {
				few = many
			}
			if many != few {
				t.Errorf("%d ports: %d rules, %d ports: %d rules", sizes[0], few, size, many)
			}
		}
		must(t, w.filter.Held(t.Context(), owner.Of("net", "c0", "eth0"), ports(first, 10)))
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

// ports publishes so many ports of each of two protocols from a number on.
func ports(from, many int) firewall.Claim {
	c := firewall.Claim{Role: firewall.Publish}
	for i := range many {
		for _, protocol := range []uint8{6, 17} {
			p := published(protocol, "", uint16(from+i), "10.1.0.2:80")
			p.SNAT = firewall.SNATNone
			c.Ports = append(c.Ports, p)
		}
	}
	return c
}

// pace begins flows one after the other, and returns how many a second, and the median of the time for one.
func (w *town) pace(network, to string) (rate float64, median time.Duration) {
	w.Helper()
	const flows = 300
	var times []time.Duration
	must(w.T, enter(w.client, func() error {
		for range flows {
			began := time.Now()
			conn, err := net.DialTimeout(network, to, patient)
			if err != nil {
				return err
			}
			if network == "udp" {
				_ = conn.SetDeadline(time.Now().Add(patient))
				_, _ = conn.Write([]byte("?"))
				_, err = conn.Read(make([]byte, 100))
			}
			times = append(times, time.Since(began))
			if err == nil && network == "tcp" {
				_, err = io.Copy(io.Discard, conn)
			}
			conn.Close()
			if err != nil {
				return err
			}
		}
		return nil
	}))
	total := time.Duration(0)
	for _, each := range times {
		total += each
	}
	slices.Sort(times)
	return flows / total.Seconds(), times[flows/2]
}
