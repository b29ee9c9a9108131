package tool

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/firewall/nft"
	"github.com/trestle-cni/trestle/pkg/operator/meter"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
)

// readings are three of a host with two containers, two seconds apart; the last has one that could not be looked at.
func readings() []*meter.Sample {
	at := time.Date(2026, 11, 26, 14, 3, 20, 0, time.UTC)
	port := observe.Port{Protocol: "tcp", HostPort: 8080, Target: netip.MustParseAddrPort("10.1.0.2:80")}
	one := func(network, container, pod string, in, out, connections uint64) meter.Interface {
		return meter.Interface{Attachment: &observe.Attachment{ID: network + "/" + container + "/eth0", Network: network, ContainerID: container, IfName: "eth0", Pod: pod},
			Received: meter.Count{Bytes: in, Packets: in / 1000}, Sent: meter.Count{Bytes: out, Packets: out / 1000}, Connections: connections}
	}
	web := func(in, out, connections uint64) meter.Interface {
		i := one("front", "web", "", in, out, connections)
		i.Ports = []meter.Port{{Port: port, Connections: connections, Received: meter.Count{Bytes: in / 2}, Sent: meter.Count{Bytes: out / 2}}}
		return i
	}
	long := strings.Repeat("0123456789abcdef", 4)
	hidden := one("lan", "mac", "", 0, 0, 0)
	hidden.Unseen = "not permitted: only root may enter it"
	return []*meter.Sample{
		{Time: at, Interfaces: []meter.Interface{web(1e6, 5e6, 0), one("back", long, "shop/api", 100, 100, 0)}},
		{Time: at.Add(2 * time.Second), Heard: true, Interfaces: []meter.Interface{web(1.5e6, 6e6, 4), one("back", long, "shop/api", 4.2e9, 100, 2)}},
		{Time: at.Add(4 * time.Second), Heard: true, Interfaces: []meter.Interface{web(3e6, 46e6, 30), one("back", long, "shop/api", 4.3e9, 20e6, 2), hidden},
			Dropped: []nft.Dropped{{Reason: "between isolated bridges", Table: "inet trestle_forward", Chain: "forward", Rule: "drop"},
				{Reason: "from a MAC that is not the container's", Table: "bridge trestle", Chain: "fromport", Rule: "iifname . ether saddr != @mac counter drop", Packets: 1200, Bytes: 90e3}},
			Unseen: []observe.Problem{{Object: "bytes of \x1b[31mports", Cause: "the kernel does not count by connection", Remedy: "sysctl -w net.netfilter.nf_conntrack_acct=1"}}},
	}
}

func shown(t *testing.T, top topping, graphic, coloured bool) *display {
	t.Helper()
	d := newDisplay(io.Discard, &top)
	d.interval, d.graphic, d.coloured = 2*time.Second, graphic, coloured
	var before *meter.Sample
	for _, now := range readings() {
		must(t, d.show(top.answer(before, now)))
		before = now
	}
	return d
}

// The page is what it was, wide, at a small terminal, and without UTF-8. No line is wider than the terminal, and none is below its end.
func TestTopPage(t *testing.T) {
	var b strings.Builder
	for _, c := range []struct {
		title         string
		width, height int
		graphic       bool
		sort          string
	}{{"wide", 130, 40, true, "traffic"}, {"80 by 24, by name", 80, 24, true, "name"}, {"ASCII", 100, 40, false, "in"}, {"small", 40, 9, true, "traffic"}} {
		lines := shown(t, topping{sort: c.sort}, c.graphic, false).page(c.width, c.height)
		b.WriteString("-- " + c.title + " --\n" + strings.Join(lines, "\n") + "\n")
	}
	golden := filepath.Join("testdata", "top.txt")
	if *update {
		must(t, os.MkdirAll("testdata", 0o755))
		must(t, os.WriteFile(golden, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", golden, diff)
	}
	for width := range 140 {
		for height := 1; height < 12; height++ {
			lines := shown(t, topping{sort: "traffic"}, true, false).page(width, height)
			if len(lines) > height {
				t.Fatalf("%d lines at a height of %d", len(lines), height)
			}
			for _, line := range lines {
				if utf8.RuneCountInString(line) > width {
					t.Fatalf("%q at a width of %d", line, width)
				}
			}
		}
	}
}

// terminal returns a terminal of that size, and the end that a person would sit at.
func terminal(t *testing.T, width, height uint16) (person, tty *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	t.Cleanup(func() { person.Close() })
	must(t, unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	must(t, err)
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	t.Cleanup(func() { tty.Close() })
	must(t, resize(tty, width, height))
	return person, tty
}

func resize(tty *os.File, width, height uint16) error {
	return unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: height})
}

// A terminal gets the page on its other page, drawn anew when it becomes another size; Ctrl-C ends it well, and gives the terminal back as it was.
func TestTopTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	person, tty := terminal(t, 24, 10)
	ended := make(chan error)
	go func() {
		c := Command(nil)
		c.SetArgs([]string{"top", "--interval", "1h"})
		c.SetOut(tty)
		ended <- c.Execute()
	}()
	seen := bufio.NewReader(person)
	until := func(end string) string {
		t.Helper()
		var text strings.Builder
		for !strings.HasSuffix(text.String(), end) {
			b, err := seen.ReadByte()
			if err != nil {
				t.Fatalf("after %q: %v", text.String(), err)
			}
			text.WriteByte(b)
		}
		return text.String()
	}
	if begin := until("\x1b[J"); !strings.HasPrefix(begin, "\x1b[?1049h\x1b[?25l\x1b[H\x1b[1mtrestle top\x1b[0m") || strings.Contains(begin, "NETWORK") {
		t.Errorf("the first page is %q", begin)
	}
	must(t, resize(tty, 100, 30))
	must(t, unix.Kill(os.Getpid(), unix.SIGWINCH))
	if page := until("\x1b[J"); !strings.HasPrefix(page, "\x1b[H") || !strings.Contains(page, "NETWORK") {
		t.Errorf("the larger page is %q", page)
	}
	must(t, unix.Kill(os.Getpid(), unix.SIGINT))
	if end := until("\x1b[?1049l"); end != "\x1b[?25h\x1b[?1049l" {
		t.Errorf("the end is %q", end)
	}
	must(t, <-ended)
}

// Counters begin anew where a link is made again; of a published port they fall where an end was not told of, or somebody set them to nothing: no rate is negative, nor one
// that nobody can have sent.
func TestTopCounters(t *testing.T) {
	link := func(bytes uint64, unseen string) *meter.Interface {
		return &meter.Interface{Attachment: &observe.Attachment{}, Received: meter.Count{Bytes: bytes}, Unseen: unseen,
			Ports: []meter.Port{{Received: meter.Count{Bytes: bytes}}}}
	}
	for name, c := range map[string]struct {
		was, now           *meter.Interface
		seconds, all, port float64
	}{
		"it grows":                  {link(1000, ""), link(3000, ""), 2, 1000, 1000},
		"it stands":                 {link(1000, ""), link(1000, ""), 2, 0, 0},
		"it begins anew":            {link(1e12, ""), link(3000, ""), 2, 1500, 0},
		"it wraps":                  {link(1<<64-1, ""), link(2000, ""), 2, 1000, 0},
		"it is new":                 {nil, link(3000, ""), 2, 1500, 1500},
		"it was not seen":           {link(0, "closed"), link(1e12, ""), 2, 0, 0},
		"at first":                  {nil, link(1e12, ""), 0, 0, 0},
		"the clock was turned back": {link(1000, ""), link(3000, ""), -2, 0, 0},
	} {
		l := comparison{c.seconds, true, true}.line(c.was, c.now)
		if all, port := l.Received.BytesPerSecond, l.Ports[0].Received.BytesPerSecond; all != c.all || port != c.port {
			t.Errorf("%s: %g and %g in a second, want %g and %g", name, all, port, c.all, c.port)
		}
	}
}

// What is no terminal gets no escapes, and programs get what was asked for; what cannot be is refused before anything is looked at.
func TestTopElsewhere(t *testing.T) {
	for _, words := range []string{"top --once --interval 100ms", "top --once --interval 100ms --json"} {
		var out bytes.Buffer
		c := Command(nil)
		c.SetArgs(strings.Fields(words))
		c.SetOut(&out)
		must(t, c.Execute())
		var a topAnswer
		if text := out.String(); strings.Contains(text, "\x1b") || strings.Contains(words, "json") && (json.Unmarshal(out.Bytes(), &a) != nil || a.Seconds < 0.1) {
			t.Errorf("%s: %q", words, text)
		}
	}
	for words, want := range map[string]string{"--sort size": "size: no such order", "--interval 1ms": "must be 100ms at the least", "--network no-such": "no-such: no such network"} {
		c := Command(nil)
		c.SetArgs(append([]string{"top", "--once"}, strings.Fields(words)...))
		c.SetOut(io.Discard)
		if err := c.Execute(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", words, err, want)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
