package hostlocal

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/test/reference"
)

// BenchmarkReservations prints what an ADD and a DEL take as processes, from start to exit, with reservations in the directory
// already: ours and the reference's, one after the other, so that both meet the same machine. A round is one ADD and one DEL of each.
//
//	go test -run '^$' -bench Reservations -benchtime 50x ./plugins/host-local
func BenchmarkReservations(b *testing.B) {
	reference.Newest.Need(b)
	theirs := reference.Newest.Plugin("host-local")
	ours := filepath.Join(b.TempDir(), "host-local")
	build := exec.Command("go", "build", "-o", ours, "-ldflags", "-s -w", "github.com/trestle-cni/trestle/cmd/host-local")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	var cases []*benchCase
	for _, size := range []int{0, 250, 5000, 20000, 60000} {
		for _, stack := range []int{1, 2} {
			for _, file := range []string{ours, theirs} {
				cases = append(cases, newBenchCase(b, file, size, stack))
			}
		}
	}
	for b.Loop() {
		for _, c := range cases {
			c.round(b)
		}
	}
	table := os.Stdout // a log of a benchmark is cut after ten lines
	fmt.Fprintf(table, "\n%-12s %-5s %10s %10s %10s %10s %10s %10s %10s\n", "reservations", "stack", "plugin",
		"ADD p50", "ADD p90", "ADD cpu", "DEL p50", "DEL p90", "DEL cpu")
	for _, c := range cases {
		plugin := "ours"
		if c.file == theirs {
			plugin = "reference"
		}
		fmt.Fprintf(table, "%-12d %-5d %10s %10v %10v %10v %10v %10v %10v\n", c.size, c.stack, plugin,
			rank(c.took["ADD"], 50), rank(c.took["ADD"], 90), rank(c.cpu["ADD"], 50),
			rank(c.took["DEL"], 50), rank(c.took["DEL"], 90), rank(c.cpu["DEL"], 50))
	}
}

type benchCase struct {
	call
	file        string
	size, stack int
	took, cpu   map[string][]time.Duration // by command; cpu is what the process used, which a busy machine changes less
}

// newBenchCase fills a directory as the reference would, and makes one ADD in it, so that an index is there.
func newBenchCase(b *testing.B, file string, size, stack int) *benchCase {
	ranges := []string{`[{"subnet": "10.0.0.0/15"}]`, `[{"subnet": "fd00::/64"}]`}[:stack]
	c := &benchCase{took: map[string][]time.Duration{}, cpu: map[string][]time.Duration{}, call: call{config: network("0.4.0", `"ranges": [`+strings.Join(ranges, ",")+`]`), dir: b.TempDir()}, file: file, size: size, stack: stack}
	must(b, os.Mkdir(filepath.Join(c.dir, "net"), 0o755))
	for set, first := range []string{"10.0.0.2", "fd00::2"}[:stack] {
		addr := netip.MustParseAddr(first)
		for i := range size {
			must(b, os.WriteFile(filepath.Join(c.dir, "net", addr.String()), fmt.Appendf(nil, "filler%d\r\neth0", i), 0o600))
			addr = addr.Next()
		}
		must(b, os.WriteFile(filepath.Join(c.dir, "net", fmt.Sprintf("last_reserved_ip.%d", set)), []byte(addr.Prev().String()), 0o600))
	}
	c.round(b)
	c.took, c.cpu = map[string][]time.Duration{}, map[string][]time.Duration{}
	return c
}

func (c *benchCase) round(b *testing.B) {
	for _, command := range []string{"ADD", "DEL"} {
		c.command = command
		start := time.Now()
		a := c.exec(b, c.file)
		took := time.Since(start)
		if a.status != 0 {
			b.Fatalf("%s at %d: %s", command, c.size, a.out)
		}
		c.took[command], c.cpu[command] = append(c.took[command], took), append(c.cpu[command], a.cpu)
	}
}

func rank(all []time.Duration, percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[(len(sorted)-1)*percent/100].Round(10 * time.Microsecond)
}
