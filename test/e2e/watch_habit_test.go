package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/test/nstest"
)

// rm deletes the rule of a table of iptables that has the words.
const rm = `rm() { eval "iptables -t $1 $(iptables-save -t "$1" | grep -e "$2" | head -n 1 | sed s/-A/-D/)"; }; `

// TestHabitAndRepairs lets somebody delete one thing a fourth time: no repair that the watch starts for another reason makes it again, nor finds anything wrong about it; one by
// hand does, and the watch leaves what is there.
func TestHabitAndRepairs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ list, remove, show, sign string }{
		"nft, a rule": {few, `nft delete rule inet trestle postrouting handle $(nft -a list chain inet trestle postrouting | sed -n 's/.*@masq4.*handle //p')`,
			"nft list chain inet trestle postrouting", "@masq4"},
		"nft, a chain":             {few, "nft flush chain inet trestle hostports", "nft list chain inet trestle hostports", "dnat"},
		"nft, a set":               {few, "nft flush set inet trestle masq4", "nft list set inet trestle masq4", "10.1.0.2"},
		"nft, an element":          {few, "nft delete element inet trestle masq4 { 10.1.0.2 }", "nft list set inet trestle masq4", "10.1.0.2"},
		"nft, a table":             {few, "nft delete table bridge trestle", "nft list tables", "bridge trestle"},
		"iptables, a hook":         {fewTabled, rm + `rm nat '-A POSTROUTING -s 10.1.0.2/32'`, "iptables-save -t nat", "-A POSTROUTING -s 10.1.0.2/32"},
		"iptables, a shared hook":  {fewTabled, rm + `rm nat '-A PREROUTING .*-j CNI-HOSTPORT-DNAT'`, "iptables-save -t nat", "-A PREROUTING -m addrtype"},
		"iptables, a rule of one":  {fewTabled, rm + `rm filter '-A CNI-FORWARD -s 10.1.0.2/32'`, "iptables-save -t filter", "-A CNI-FORWARD -s 10.1.0.2/32"},
		"iptables, a port's entry": {fewTabled, rm + `rm nat '-A CNI-HOSTPORT-DNAT .*c0'`, "iptables-save -t nat | grep -e '-A CNI-HOSTPORT-DNAT' || true", "c0"},
		"iptables, a chain": {fewTabled, `iptables -t nat -F "$(iptables-save -t nat | sed -n 's/^-A \(CNI-DN-[^ ]*\) .*10.1.0.2:7$/\1/p' | head -n 1)"`, "iptables-save -t nat",
			"--to-destination 10.1.0.2:7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) { habitAndRepairs(t, c.list, c.remove, c.show, c.sign) })
		})
	}
}

func habitAndRepairs(t *testing.T, text, remove, show, sign string) {
	s := settleBy(t, text, 2, "udp")
	there := func() bool { return strings.Contains(printed(t, show), sign) }
	w := s.watch()
	w.says("the plugins have looked")
	if strings.Contains(text, "iptables") {
		w.says("knows what iptables has of ours")
	}
	begun := time.Now()
	for range 3 {
		shell(t, remove)
		w.until("it is there again", func(string) bool { return there() })
	}
	w.repairs() // so that none is at work that began before it was known what is meant
	shell(t, remove)
	if time.Since(begun) > 50*time.Second {
		t.Fatal("too slow for a habit")
	}
	w.says("leaves alone until")
	if there() {
		t.Fatalf("made again:\n%s", printed(t, show))
	}
	w.repairs()
	if there() {
		t.Errorf("a repair of the watch's made it again:\n%s", printed(t, show))
	}
	s.tool("repair")
	if !there() {
		t.Errorf("a repair by hand did not make it again:\n%s", printed(t, show))
	}
	w.repairs()
	if !there() {
		t.Errorf("what was there again is gone:\n%s", printed(t, show))
	}
}

// repairs has the watch ask all plugins, for a reason that has nothing to do with the packet filter.
func (w *watched) repairs() {
	w.Helper()
	for len(w.lines) > 0 {
		<-w.lines
	}
	shell(w.T, "ip link set br0 down")
	asked := false
	w.until("the plugins have looked", func(line string) bool {
		if strings.Contains(line, "not as it was made") {
			w.Error(line)
		}
		asked = asked || strings.Contains(line, "asks the plugins")
		return asked && strings.Contains(line, "the plugins have looked")
	})
}

// printed is what a command prints.
func printed(t *testing.T, command string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-ec", command)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv(pathVar)+":/usr/sbin:/sbin")
	out, err := cmd.Output()
	must(t, err)
	return string(out)
}
