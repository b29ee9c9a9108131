package e2e

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/pkg/deadline"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/nft"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// watched is a trestle repair --watch at work.
type watched struct {
	*testing.T
	cmd   *exec.Cmd
	lines chan string

	rules  func(*testing.T) string // what there is
	before string                  // the same, with all that is to be there
}

func (s *settled) watch(as ...string) *watched {
	s.Helper()
	w := s.starts(as...)
	s.Cleanup(func() {
		_ = w.cmd.Process.Signal(os.Interrupt)
		if err := w.cmd.Wait(); err != nil {
			s.Errorf("trestle repair --watch: %v", err)
		}
	})
	w.says("watches the rules")
	return w
}

// starts starts one that nobody ends; as is the program that does, with its arguments, if another is to.
func (s *settled) starts(as ...string) *watched {
	s.Helper()
	line := append(as, filepath.Join(os.Getenv(pluginsVar), "trestle"), "repair", "--watch")
	w := &watched{T: s.T, cmd: exec.Command(line[0], line[1:]...), lines: make(chan string, 10000)}
	out, err := w.cmd.StdoutPipe()
	must(s.T, err)
	w.cmd.Stderr = os.Stderr
	must(s.T, w.cmd.Start())
	go func() {
		defer close(w.lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			w.lines <- scan.Text()
		}
	}()
	return w
}

// says waits for a line with the words.
func (w *watched) says(words string) {
	w.Helper()
	said := false
	w.until("it says "+words, func(line string) bool {
		said = said || strings.Contains(line, words)
		return said
	})
}

// until asks now, and after each line that it says.
func (w *watched) until(what string, so func(line string) bool) {
	w.Helper()
	late := time.After(slack.Of(20 * time.Second))
	var past []string
	for line, more := "", true; !so(line); {
		select {
		case line, more = <-w.lines:
			if past = append(past, line); !more {
				w.Fatalf("it ended before %s: %q", what, past)
			}
		case <-late:
			w.Fatalf("not in time: %s: %q", what, past)
		}
	}
}

// lives waits until the ruleset has what belongs to each of them.
func (w *watched) lives(containers ...string) (rules string) {
	w.Helper()
	w.until("there is what belongs to all", func(string) bool {
		rules = w.rules(w.T)
		return !slices.ContainsFunc(containers, func(name string) bool {
			return strings.Count(rules, "net/"+name+"/eth0") < strings.Count(w.before, "net/"+name+"/eth0")
		})
	})
	return rules
}

func sweep(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("/usr/sbin/nft", "flush", "ruleset").CombinedOutput(); err != nil {
		t.Errorf("nft: %v: %s", err, out)
	}
}

func ruleset(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("/usr/sbin/nft", "list", "ruleset").CombinedOutput()
	must(t, err)
	return string(out)
}

// few is a network of so few addresses that each is used again at once, by plugins that a runtime calls one after the other: so that there is time between two of
// a DEL.
const few = `{"cniVersion": "1.1.0", "name": "net", "plugins": [
	{"type": "bridge", "bridge": "br0", "isDefaultGateway": true, "ipMasq": true, "macspoofchk": true,
		"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.2", "rangeEnd": "10.1.0.4"}]]}},
	{"type": "portmap", "capabilities": {"portMappings": true}}, {"type": "firewall"}]}`

// fewTabled is the same with rules of iptables.
var fewTabled = strings.NewReplacer(`"macspoofchk": true,`, `"ipMasqBackend": "iptables",`, `{"type": "portmap",`, `{"type": "portmap", "backend": "iptables",`,
	`{"type": "firewall"}`, `{"type": "firewall", "backend": "iptables"}`).Replace(few)

// ofBoth has each backend tried, in a host of its own: by its list, and what tells its rules.
func ofBoth(t *testing.T, try func(t *testing.T, list string, rules func(*testing.T) string)) {
	t.Parallel()
	for name, c := range map[string]struct {
		list  string
		rules func(*testing.T) string
	}{"nftables": {few, ruleset}, "iptables": {fewTabled, saved}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) { try(t, c.list, c.rules) })
		})
	}
}

// TestWatchRevivesNobody deletes a container while everything is flushed, many times: of who is deleted nothing is made again, whoever is faster; who has his
// address next has nothing of his, and the others have all that they had.
func TestWatchRevivesNobody(t *testing.T) { ofBoth(t, revivesNobody) }

func revivesNobody(t *testing.T, text string, rulesOf func(*testing.T) string) {
	s := settleBy(t, text, 2, "udp")
	s.serve(outsider, "udp", ":7")
	s.serve("c0", "udp", ":7")
	w := s.watch()
	w.rules = rulesOf
	w.before = rulesOf(t)
	for i := range size(12, 300) {
		s.attach(2 + i)
		var both sync.WaitGroup
		both.Go(func() {
			if err := s.deletes(2 + i); err != nil {
				t.Errorf("DEL: %v", err)
			}
		})
		both.Go(func() { sweep(t) })
		both.Wait()
		w.lives("c0", "c1")
		sweep(t) // whatever is known of him by now comes to light
		if rules := w.lives("c0", "c1"); strings.Contains(rules, fmt.Sprintf("net/%s/", s.name(2+i))) {
			t.Fatalf("round %d: made again of who is deleted:\n%s", i, rules)
		}
		nstest.Remove(t, netnsDir+s.name(2+i))
	}
	w.until("c0 is what it was", func(string) bool { // iptables has the ledgers, in which the names are, before the rules
		return s.hears("c0", "udp", "192.0.2.2:7", outsider) && s.hears(outsider, "udp", "192.0.2.1:20000", "c0")
	})
	s.tool("repair")
	if rules := rulesOf(t); strings.Count(rules, "net/c") != strings.Count(w.before, "net/c") {
		t.Errorf("not as before:\n%s\nbut:\n%s", w.before, rules)
	}
}

// TestWatchLinks takes from links what others take, and wants it back; what plugins do to links by themselves is no reason to ask anybody.
func TestWatchLinks(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		s := settle(t, 2, "udp")
		s.serve("c0", "udp", ":7")
		w := s.watch()
		w.says("asks the plugins of all attachments: the watch begins")
		for i := range 3 { // by themselves
			s.attach(5 + i)
			must(t, s.deletes(5+i))
		}
		for _, c := range []struct{ command, why string }{
			{"link set br0 down", "link br0 was set down"},
			{"addr del 10.1.0.1/16 dev br0", "an address of link br0 was removed"},
			{"addr flush dev br0", "an address of link br0 was removed"},
		} {
			out, err := exec.Command("ip", strings.Fields(c.command)...).CombinedOutput()
			if err != nil {
				t.Fatalf("ip %s: %v: %s", c.command, err, out)
			}
			w.until("br0 is as it was", func(line string) bool {
				if asks := strings.Contains(line, "asks the plugins"); asks && !containsAny(line, c.why, "br0", "a container has come") {
					t.Errorf("ip %s: %s, want %s", c.command, line, c.why)
				}
				out, err := exec.Command("ip", "-brief", "addr", "show", "br0").Output()
				return err == nil && strings.Contains(string(out), " UP ") && strings.Contains(string(out), " 10.1.0.1/16 ")
			})
			if !s.hears(outsider, "udp", "192.0.2.1:20000", "c0") {
				t.Errorf("ip %s: c0 is not heard", c.command)
			}
		}
	})
}

// TestWatchOfUnit has the watch do what it can with no more rights than its unit leaves it.
func TestWatchOfUnit(t *testing.T) {
	unit, err := os.ReadFile("../../conf/systemd/trestle-watch.service")
	must(t, err)
	_, after, found := strings.Cut(string(unit), "\nCapabilityBoundingSet=")
	line, _, _ := strings.Cut(after, "\n")
	rights := "-all"
	for _, name := range strings.Fields(line) {
		rights += ",+" + strings.ToLower(strings.TrimPrefix(name, "CAP_"))
	}
	if !found || rights == "-all" {
		t.Fatalf("the unit leaves no rights: %q", line)
	}
	ofBoth(t, func(t *testing.T, list string, rules func(*testing.T) string) {
		s := settleBy(t, list, 2, "udp")
		s.serve("c0", "udp", ":7")
		w := s.watch("setpriv", "--no-new-privs", "--bounding-set="+rights)
		w.rules, w.before = rules, rules(t)
		w.says("the plugins have looked")
		for _, breaks := range []string{"nft flush ruleset", "ip link set br0 down", "nft flush ruleset; ip addr flush dev br0"} {
			shell(t, breaks)
			w.until("all is as it was after "+breaks, func(line string) bool {
				if strings.Contains(line, "not as it was made") || strings.Contains(line, "ermitted") {
					t.Errorf("%s: %s", breaks, line)
				}
				return s.up("br0") && strings.Contains(printed(t, "ip -brief addr show br0"), " 10.1.0.1/24 ") && strings.Count(rules(t), "net/") >= strings.Count(w.before, "net/")
			})
			w.until("c0 is heard after "+breaks, func(string) bool { return s.hears(outsider, "udp", "192.0.2.1:20000", "c0") })
		}
	})
}

func containsAny(text string, words ...string) bool {
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) })
}

// TestWatchIsQuick flushes everything again and again, and takes the time from the flush to the line that says that all is there again. In a long run it is a thousand
// times at 250 containers; then the watch is looked at for three minutes in which nothing happens.
func TestWatchIsQuick(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		s := &settled{street: newStreet(t)}
		f := nft.Open().Remember("/run/cni/trestle")
		defer f.Close()
		for i := range size(20, 250) {
			holdsAll(t, f, i)
		}
		w := s.watch()
		w.says("the plugins have looked")
		before := strings.Count(ruleset(t), "net/c")
		var took []time.Duration
		for range size(20, 1000) {
			begun := time.Now()
			flush(t)
			w.says("made again: table")
			took = append(took, time.Since(begun))
		}
		slices.Sort(took)
		t.Logf("%d flushes: half in %s, 99 of 100 in %s, all in %s", len(took), took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
		if after := strings.Count(ruleset(t), "net/c"); after != before {
			t.Errorf("marks in the ruleset: %d, want %d", after, before)
		}
		if size(0, 1) == 0 {
			return
		}
		if late := took[len(took)*99/100]; late > slack.Of(100*time.Millisecond) {
			t.Errorf("99 of 100 flushes are mended in %s", late)
		}
		<-time.After(deadline.Call / 2) // within that it looks three times who has come since the plugins were asked
		for range 3 {                   // one of which would have the collection that Go begins every two
			first := w.switches()
			<-time.After(time.Minute) // what is asked is what a minute costs
			if woken := w.switches() - first; woken > 3 {
				t.Errorf("woken %d times in a minute in which nothing happened", woken)
			}
		}
		if kb := w.status(w.cmd.Process.Pid, "VmRSS:"); kb > 15<<10 {
			t.Errorf("%d KB are resident", kb)
		} else {
			t.Logf("%d KB resident, of which %d its own", kb, w.status(w.cmd.Process.Pid, "RssAnon:"))
		}
	})
}

// holdsAll has what bridge, portmap and firewall hold of one attachment.
func holdsAll(t *testing.T, f *nft.Filter, i int) {
	t.Helper()
	o, subnet := owner.Of("net", fmt.Sprint("c", i), "eth0"), netip.MustParsePrefix("10.1.0.0/16")
	addr := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i + 2)})
	port := firewall.Port{Protocol: 6, HostPort: uint16(20000 + i), Target: netip.AddrPortFrom(addr, 80), Subnet: subnet, SNAT: firewall.SNATHairpin}
	for _, c := range []firewall.Claim{
		{Role: firewall.Masquerade, Masq: []firewall.Masq{{Addr: addr, Subnet: subnet}}}, {Role: firewall.Publish, Ports: []firewall.Port{port}},
		{Role: firewall.Antispoof, Spoof: []firewall.Spoof{{Link: o.HostLink(), MAC: []byte{2, 0, 0, 0, byte(i >> 8), byte(i)}}}},
		{Role: firewall.Forward, Pass: []netip.Addr{addr}},
	} {
		_, err := f.Hold(t.Context(), o, c, nil)
		must(t, err)
	}
}

// switches is how often its threads have waited for something.
func (w *watched) switches() (count int) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", w.cmd.Process.Pid))
	must(w.T, err)
	for _, thread := range threads {
		id, err := strconv.Atoi(filepath.Base(thread))
		must(w.T, err)
		count += w.status(id, "voluntary_ctxt_switches:")
	}
	return count
}

// status reads a number of /proc/PID/status.
func (w *watched) status(pid int, name string) (n int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(w.T, err)
	_, after, _ := strings.Cut("\n"+string(text), "\n"+name)
	_, err = fmt.Sscan(after, &n)
	must(w.T, err)
	return n
}
