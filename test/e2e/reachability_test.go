package e2e

import (
	"flag"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/peer"
	"github.com/trestle-cni/trestle/test/slack"
)

var update = flag.Bool("update", false, "write docs/reachability.md instead of comparing with it")

const reachabilityPage = "../../docs/reachability.md"

// The table has a part for each setting of the host and of portmap. Each setting of portmap has a container that publishes ports under it.
type setting struct{ bridge, keys string }

var (
	bridgeCalls = []string{"1", "0"} // bridge-nf-call-iptables and -ip6tables
	keysOfPorts = []string{`"snat": true`, `"snat": false`, `"snat": true, "masqAll": true`}
	backends    = []string{"nftables", "iptables"}
)

func (s setting) title() string {
	return fmt.Sprintf("bridge-nf-call %s, %s", map[string]string{"0": "off", "1": "on"}[s.bridge], strings.ReplaceAll(s.keys, `"`, "`"))
}

// publisher is the name of the container that has the keys.
func publisher(keys int) string { return fmt.Sprint("one", keys) }

// a row for each client,
type client struct{ title, container, to4, to6 string }

func clients() []client {
	return []client{
		{"a host outside", outsider, "192.0.2.1", "2001:db8::1"},
		{"the host, by its address", "host", "192.0.2.1", "2001:db8::1"},
		{"the host, by 127.0.0.1 or ::1", "host", "127.0.0.1", "::1"},
		{"a container on the bridge", "two", "192.0.2.1", "2001:db8::1"},
		{"the container itself", itself, "192.0.2.1", "2001:db8::1"},
		{"a container on another bridge", "far", "192.0.2.1", "2001:db8::1"},
	}
}

const itself = "itself"

// and a column for each hostIP, which has a port of its own, with the publisher's number for its hundreds.
type column struct {
	title string
	port  int
	ips   []string
}

func columns() []column {
	return []column{
		{"none", 8001, []string{""}},
		{"0.0.0.0, ::", 8002, []string{"0.0.0.0", "::"}},
		{"the host's", 8003, []string{"192.0.2.1", "2001:db8::1"}},
		{"127.0.0.1, ::1", 8004, []string{"127.0.0.1", "::1"}},
	}
}

// otherFamily is the last column: the host's address of the other family.
func otherFamily(is4 bool) (port int, ip string) {
	if is4 {
		return 8005, "2001:db8::1"
	}
	return 8006, "192.0.2.1"
}

var protocols = []string{"tcp", "udp", "sctp"}

// TestReachability sends real traffic from everywhere to every kind of published port, and writes down whom the container sees. What the
// child processes find out comes back by files.
func TestReachability(t *testing.T) {
	dir := os.Getenv("E2E_STATE")
	child := dir != ""
	if !child {
		dir = t.TempDir()
		t.Setenv("E2E_STATE", dir)
	}
	file := func(bridge, backend string) string { return dir + "/" + bridge + backend }
	t.Run("hosts", func(t *testing.T) {
		for _, bridge := range bridgeCalls {
			for _, backend := range backends {
				t.Run(bridge+backend, func(t *testing.T) {
					t.Parallel()
					nstest.Run(t, func(t *testing.T) {
						must(t, os.WriteFile(file(bridge, backend), []byte(find(t, bridge, backend)), 0o644))
					})
				})
			}
		}
	})
	if child || t.Failed() {
		return
	}
	var parts []string
	for _, bridge := range bridgeCalls {
		var found [2][]string
		for i, backend := range backends {
			text, err := os.ReadFile(file(bridge, backend))
			must(t, err)
			found[i] = strings.Split(string(text), "\n")
		}
		for _, keys := range keysOfPorts {
			parts = append(parts, "## "+setting{bridge, keys}.title()+"\n\n"+table(&found))
		}
	}
	page, err := os.ReadFile(reachabilityPage)
	must(t, err)
	head, _, _ := strings.Cut(string(page), "\n## ")
	got := strings.TrimRight(head, "\n") + "\n\n" + strings.Join(parts, "\n")
	if *update {
		must(t, os.WriteFile(reachabilityPage, []byte(got), 0o644))
	} else if diff := cmp.Diff(string(page), got); diff != "" {
		t.Errorf("docs/reachability.md (-page +found); write it with -update, and read the difference:\n%s", diff)
	}
}

// table is one part of the page, and takes its cells off the beginning of what was found. Where the backends differ, a cell has what is so under
// iptables in parentheses.
func table(found *[2][]string) string {
	next := func(i int) (cell string) {
		cell, found[i] = found[i][0], found[i][1:]
		return cell
	}
	var text strings.Builder
	text.WriteString("| client | |")
	for _, c := range columns() {
		text.WriteString(" " + c.title + " |")
	}
	text.WriteString(" of the other family |\n|---|---|" + strings.Repeat("---|", len(columns())+1) + "\n")
	for _, c := range clients() {
		for _, family := range []string{"IPv4", "IPv6"} {
			fmt.Fprintf(&text, "| %s | %s |", c.title, family)
			for range len(columns()) + 1 {
				cell := next(0)
				if other := next(1); other != cell {
					cell += " (iptables: " + other + ")"
				}
				fmt.Fprintf(&text, " %s |", cell)
			}
			text.WriteString("\n")
		}
	}
	return text.String()
}

// cell is what one client finds at one port, by protocol.
type cell struct {
	client
	to, own, server string
	refused         bool // nobody is to get there
	seen            [3]string
}

func (w *street) row(c client, is4 bool, number int, refused []string) (row []*cell) {
	if c.container == itself {
		c.container = publisher(number)
	}
	var own string
	switch {
	case c.container == outsider && is4:
		own = "192.0.2.2"
	case c.container == outsider:
		own = "2001:db8::2"
	case c.container != "host":
		own = w.address(c.container, is4).String()
	}
	to := c.to4
	if !is4 {
		to = c.to6
	}
	last, _ := otherFamily(is4)
	for _, port := range append(ports(), last) {
		at := fmt.Sprint(port + 100*number)
		deaf := slices.ContainsFunc(refused, func(r string) bool {
			ip, number, _ := net.SplitHostPort(r)
			return number == at && strings.Contains(ip, ".") == is4
		})
		row = append(row, &cell{client: c, to: net.JoinHostPort(to, at), own: own, server: publisher(number), refused: deaf})
	}
	return row
}

func ports() (list []int) {
	for _, c := range columns() {
		list = append(list, c.port)
	}
	return list
}

// unheard is how long a client waits for an answer before it takes the port for unreachable. All clients wait at the same time.
func unheard() time.Duration { return slack.Of(3 * time.Second) }

func (w *street) askAll(cells []*cell) {
	var all sync.WaitGroup
	for _, c := range cells {
		for i, protocol := range protocols {
			all.Go(func() {
				answer := ""
				_ = in(c.container, func() (err error) { // no answer is an answer
					answer, err = peer.Ask(protocol, c.to, unheard())
					return err
				})
				c.seen[i] = c.read(answer)
			})
		}
	}
	all.Wait()
}

// read says whom the container saw.
func (c *cell) read(answer string) string {
	seen, right := strings.CutPrefix(strings.TrimSpace(answer), c.server+" sees ")
	switch {
	case answer == "":
		return "–"
	case right && seen == c.own:
		return "client"
	case right && slices.Contains(ofTheHost, seen):
		return "host"
	}
	return "wrong: " + answer
}

var ofTheHost = []string{"192.0.2.1", "2001:db8::1", "10.1.0.1", "fd00:1::1"}

// text is what the protocols have in common, or each by itself; or that such a mapping is refused.
func (c *cell) text() string {
	switch {
	case c.seen[0] != c.seen[1] || c.seen[1] != c.seen[2]:
		return fmt.Sprintf("tcp %s, udp %s, sctp %s", c.seen[0], c.seen[1], c.seen[2])
	case c.refused && c.seen[0] == "–":
		return "refused"
	}
	return c.seen[0]
}
