package e2e

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/operator/trace"
)

// foretold asks trace the questions that were asked by traffic, and holds its verdicts against what happened: who reaches whom, and as whom
// the client is seen.
func (w *street) foretold(cells []*cell) {
	w.Helper()
	town, err := trace.Open(w.Context(), netnsDir)
	must(w.T, err)
	defer town.Close()
	places := make(map[string]*trace.Place)
	for _, p := range town.Places {
		places[p.Name] = p
	}
	numbers := []uint8{unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_SCTP}
	for _, c := range cells {
		to := netip.MustParseAddrPort(c.to)
		for i, protocol := range numbers {
			a := town.Ask(trace.Question{From: places[c.container], To: to.Addr(), Port: to.Port(), Protocol: protocol})
			said := "–"
			if a.Outcome == trace.Reachable && a.At == c.server { // of sctp it does not know who listens
				said = c.read(c.server + " sees " + a.Seen.String())
			}
			if said != c.seen[i] || a.Outcome == trace.Unknown {
				w.Errorf("%s: trace says %q (%s), and traffic %q", a.Question, said, a.Text(), c.seen[i])
			}
		}
	}
}
