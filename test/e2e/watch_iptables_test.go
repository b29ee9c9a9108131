package e2e

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/test/nstest"
)

// tabled is a network whose rules are those of iptables.
const tabled = `{"cniVersion": "1.1.0", "name": "net", "plugins": [{"type": "trestle", "capabilities": {"portMappings": true}, "plugins": [
	{"type": "bridge", "bridge": "br0", "isDefaultGateway": true, "ipMasq": true, "ipMasqBackend": "iptables",
		"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/16"}]]}},
	{"type": "portmap", "backend": "iptables", "capabilities": {"portMappings": true}}]}]}`

// TestWatchIPTables flushes where rules are those of iptables-nft, in the ways in which people do: they are as they were, in no more than three times what one iptables-restore of
// the same rules takes. That is judged in a long run, by the half of both.
func TestWatchIPTables(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		s := settleTabled(t, size(2, 20)) // what more have the kernel does not take of iptables in one datagram here
		s.serve("c0", "udp", ":7")
		one := restores(t)
		rules := saved(t)
		w := s.watch()
		w.says("knows what iptables has of ours")
		var took []time.Duration
		for i := range size(8, 80) {
			begun := time.Now()
			shell(t, []string{"nft flush ruleset", "iptables -t nat -F", "nft delete table ip nat",
				`printf '*nat\nCOMMIT\n*raw\nCOMMIT\n' | iptables-restore`}[i%4])
			w.until("the rules are there", func(line string) bool { // where a flush is seen in parts, the plugins make again the rest
				there := saved(t) == rules
				if there && i%4 == 0 && strings.HasPrefix(line, "made again: ") && strings.Contains(line, "table ip ") {
					took = append(took, time.Since(begun))
				}
				return there
			})
		}
		// With one more, so that there is a half where all were seen in parts.
		if half := median(append(took, one)); size(0, 1) == 1 && half > 3*one {
			t.Errorf("half of %d flushes are mended in %s, where one iptables-restore takes %s: more than three times as long", len(took), half, one)
		} else {
			t.Logf("half of %d flushes are mended in %s, where one iptables-restore takes %s", len(took), half, one)
		}
		if !s.hears(outsider, "udp", "192.0.2.1:20000", "c0") {
			t.Error("c0's port leads nowhere")
		}
	})
}

// TestWatchLegacy sweeps rules of iptables-legacy away, of which the kernel tells nobody: the watch says that there are such, and makes them again for another's word, and at the
// next ADD.
func TestWatchLegacy(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		dir := t.TempDir()
		for _, name := range []string{"iptables", "ip6tables"} {
			for _, does := range []string{"", "-save", "-restore"} {
				must(t, os.Symlink("/usr/sbin/"+name+"-legacy"+does, filepath.Join(dir, name+does)))
			}
		}
		must(t, os.Setenv("PATH", dir+":"+os.Getenv("PATH"))) // of this process, which is the test's alone
		s := settleTabled(t, 2)
		rules := func() string { return savedBy(t, "/usr/sbin/iptables-legacy-save") }
		before := strings.Split(rules(), "\n")
		w := s.watch()
		w.says("iptables-legacy has rules of ours")
		whole := func(string) bool {
			there := strings.Split(rules(), "\n")
			return !slices.ContainsFunc(before, func(line string) bool { return !slices.Contains(there, line) })
		}
		next := 2
		adds := func() { s.attach(next); next++ }
		for _, c := range []struct {
			sweep string
			word  func()
		}{
			{"iptables-legacy -t nat -F", func() { shell(t, "ip link set br0 down") }},
			{"iptables-legacy -t nat -F", adds},
			{"iptables-legacy -t nat -F PREROUTING", adds},
			{"for table in nat raw; do iptables-legacy -t $table -F; iptables-legacy -t $table -X; done", adds},
		} {
			shell(t, c.sweep)
			if whole("") {
				t.Fatalf("%s: nothing went", c.sweep)
			}
			c.word()
			w.until("all is there again after "+c.sweep, whole)
		}
	})
}

// restores is how long one iptables-restore of what there is takes.
func restores(t *testing.T) time.Duration {
	t.Helper()
	text, err := exec.Command("/usr/sbin/iptables-save").Output()
	must(t, err)
	var took []time.Duration
	for range size(1, 20) {
		sweep(t)
		begun := time.Now()
		restore := exec.Command("/usr/sbin/iptables-restore")
		restore.Stdin = strings.NewReader(string(text))
		must(t, restore.Run())
		took = append(took, time.Since(begun))
	}
	return median(took)
}

func median(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)/2]
}

// settleTabled attaches so many containers by iptables.
func settleTabled(t *testing.T, many int) *settled {
	t.Helper()
	return settleBy(t, tabled, many, "udp")
}

// saved is what iptables has, without its counters and the time; chains are in an order that is none, and so are containers in a chain that they share: who is put back by
// a plugin comes after the others.
func saved(t *testing.T) string {
	t.Helper()
	return savedBy(t, "/usr/sbin/iptables-save")
}

func savedBy(t *testing.T, program string) string {
	t.Helper()
	out, err := exec.Command(program).Output()
	must(t, err)
	var chains, rules []string
	for line := range strings.Lines(string(out)) {
		switch {
		case strings.HasPrefix(line, "-A"):
			rules = append(rules, line)
		case strings.HasPrefix(line, ":"):
			chain, _, _ := strings.Cut(line, " ")
			chains = append(chains, chain)
		}
	}
	slices.Sort(chains)
	slices.SortStableFunc(rules, func(a, b string) int {
		return cmp.Or(strings.Compare(strings.Fields(a)[1], strings.Fields(b)[1]), strings.Compare(whose(a), whose(b)))
	})
	return strings.Join(append(chains, rules...), "\n")
}

// whose is the container of a rule's comment, or the address of a rule that has none; empty for what is everybody's.
func whose(rule string) string {
	if _, after, named := strings.Cut(rule, `id: \"`); named {
		id, _, _ := strings.Cut(after, `\"`)
		return id
	}
	return regexp.MustCompile(`10\.1\.\d+\.\d+/32`).FindString(rule)
}
