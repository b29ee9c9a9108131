package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/filelock"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// TestWatchDeaf stops the watch until the kernel has dropped what it had to tell. What went then, who came and who went, is all known when it goes on, and so is what comes after.
func TestWatchDeaf(t *testing.T) { ofBoth(t, deafened) }

func deafened(t *testing.T, text string, rules func(*testing.T) string) {
	s := settleBy(t, text, 2, "udp")
	w := s.watch()
	w.rules, w.before = rules, rules(t)
	w.says("the plugins have looked")
	comes := func(i int) func() { return func() { s.attach(i) } }
	goes := func(i int) func() { return func() { must(t, s.deletes(i)) } }
	for _, c := range []struct {
		what  string
		does  func()
		alive []string
	}{
		{"a flush", func() { sweep(t) }, []string{"c0", "c1"}},
		{"tables", func() { shell(t, `nft list tables | while read -r _ t; do nft delete table $t; done`) }, []string{"c0", "c1"}},
		{"rules", func() { shell(t, `nft list tables | while read -r _ t; do nft flush table $t; done`) }, []string{"c0", "c1"}},
		{"one comes", comes(2), []string{"c0", "c1", "c2"}},
		{"one goes", goes(1), []string{"c0", "c2"}},
		{"one comes, and all is swept away", func() { comes(3)(); sweep(t) }, []string{"c0", "c2", "c3"}},
		{"one goes, and all is swept away", func() { sweep(t); goes(2)() }, []string{"c0", "c3"}},
		{"the bridge is set down", func() { shell(t, "ip link set br0 down") }, []string{"c0", "c3"}},
	} {
		w.stops()
		deafen(t)
		c.does()
		must(t, w.cmd.Process.Signal(unix.SIGCONT))
		w.says("looks at everything: netlink: events were lost")
		w.only(c.what, c.alive)
		if !s.up("br0") {
			w.until(c.what+": br0 is up", func(string) bool { return s.up("br0") })
		}
		for range 2 {
			sweep(t)
			w.only(c.what+", and then a flush", c.alive)
		}
	}
}

// stops stops the watch while it has nobody locked: his verbs would wait for it.
func (w *watched) stops() {
	w.Helper()
	const run = "/run/cni/trestle/"
	for late := time.Now().Add(soon()); time.Now().Before(late); {
		must(w.T, w.cmd.Process.Signal(unix.SIGSTOP))
		file, err := filelock.Open(run + "iptables.lock")
		must(w.T, err)
		locked := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil
		file.Close()
		for i := range 4 {
			taken, err := filelock.PartTaken(run+owner.Locks, owner.Of("net", fmt.Sprint("c", i), "eth0").Place())
			must(w.T, err)
			locked = locked || taken
		}
		if !locked {
			return
		}
		must(w.T, w.cmd.Process.Signal(unix.SIGCONT))
	}
	w.Fatal("it has somebody locked all the time")
}

// only waits until there is all of these, and nothing of others.
func (w *watched) only(what string, alive []string) {
	w.Helper()
	each := strings.Count(w.before, "net/c0/eth0")
	w.until(what+": there is what belongs to "+strings.Join(alive, ", "), func(string) bool {
		rules := w.rules(w.T)
		for _, name := range alive {
			if strings.Count(rules, "net/"+name+"/eth0") != each {
				return false
			}
		}
		return strings.Count(rules, "net/c") == each*len(alive)
	})
}

func (s *settled) up(link string) bool {
	out, err := exec.Command("ip", "-brief", "link", "show", link).Output()
	return err == nil && strings.Contains(string(out), "UP")
}

// deafen has others change tables and links until the kernel drops what it has to tell of both.
func deafen(t *testing.T) {
	t.Helper()
	rules := "add table ip din\nadd chain ip din c\n" + strings.Repeat("add rule ip din c counter\n", 1000) + "delete table ip din\n"
	var links strings.Builder
	for i := range 500 {
		fmt.Fprintf(&links, "link set lo alias din%d\n", i)
	}
	before := dropped(t)
	for now := before; now[0] == before[0] || now[1] == before[1]; now = dropped(t) {
		for input, command := range map[string][]string{rules: {"nft", "-f", "-"}, links.String(): {"ip", "-batch", "-"}} {
			cmd := exec.Command(command[0], command[1:]...)
			cmd.Stdin = strings.NewReader(input)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %v: %s", command, err, out)
			}
		}
	}
}

// dropped is how often the kernel has dropped what it had to tell, of links and of nf_tables (/proc/net/netlink: the protocol, the groups, the drops).
func dropped(t *testing.T) (n [2]int) {
	t.Helper()
	text, err := os.ReadFile("/proc/net/netlink")
	must(t, err)
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		groups, err := strconv.ParseUint(f[3], 16, 32)
		if err != nil || groups == 0 {
			continue // the head, or one that is told of nothing
		}
		drops, err := strconv.Atoi(f[8])
		must(t, err)
		switch f[1] {
		case strconv.Itoa(unix.NETLINK_ROUTE):
			n[0] += drops
		case strconv.Itoa(unix.NETLINK_NETFILTER):
			n[1] += drops
		}
	}
	return n
}
