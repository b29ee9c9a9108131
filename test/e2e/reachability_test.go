package e2e

import (
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/peer"
)

var update = flag.Bool("update", false, "write docs/reachability.md instead of comparing with it")

const reachabilityPage = "../../docs/reachability.md"

// The table has a part for each setting of the host and of portmap,
type setting struct {
	title  string
	bridge string // bridge-nf-call-iptables and -ip6tables
	keys   string
}

func settings() []setting {
	var list []setting
	for _, bridge := range []string{"1", "0"} {
		for _, keys := range []string{`"snat": true`, `"snat": false`, `"snat": true, "masqAll": true`} {
			title := fmt.Sprintf("bridge-nf-call %s, %s", map[string]string{"0": "off", "1": "on"}[bridge], strings.ReplaceAll(keys, `"`, "`"))
			list = append(list, setting{title, bridge, keys})
		}
	}
	return list
}

// a row for each client,
type client struct{ title, container, to4, to6 string }

func clients() []client {
	return []client{
		{"a host outside", outsider, "192.0.2.1", "2001:db8::1"},
		{"the host, by its address", "host", "192.0.2.1", "2001:db8::1"},
		{"the host, by 127.0.0.1 or ::1", "host", "127.0.0.1", "::1"},
		{"a container on the bridge", "two", "192.0.2.1", "2001:db8::1"},
		{"the container itself", "one", "192.0.2.1", "2001:db8::1"},
		{"a container on another bridge", "far", "192.0.2.1", "2001:db8::1"},
	}
}

// and a column for each hostIP, which has a port of its own.
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
	t.Run("settings", func(t *testing.T) {
		for i, s := range settings() {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) { must(t, os.WriteFile(fmt.Sprint(dir, "/", i), []byte(s.table(t)), 0o644)) })
			})
		}
	})
	if child {
		return
	}
	var parts []string
	for i, s := range settings() {
		part, err := os.ReadFile(fmt.Sprint(dir, "/", i))
		must(t, err)
		parts = append(parts, "## "+s.title+"\n\n"+string(part))
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

// table is one part of the page.
func (s setting) table(t *testing.T) string {
	w := s.build(t)
	var text strings.Builder
	text.WriteString("| client | |")
	for _, c := range columns() {
		text.WriteString(" " + c.title + " |")
	}
	text.WriteString(" of the other family |\n|---|---|" + strings.Repeat("---|", len(columns())+1) + "\n")
	var cells []*cell
	var rows [][]*cell
	for _, c := range clients() {
		for _, is4 := range []bool{true, false} {
			row := w.row(c, is4)
			rows, cells = append(rows, row), append(cells, row...)
		}
	}
	w.askAll(cells)
	for i, row := range rows {
		fmt.Fprintf(&text, "| %s | %s |", clients()[i/2].title, []string{"IPv4", "IPv6"}[i%2])
		for _, c := range row {
			fmt.Fprintf(&text, " %s |", c.text())
		}
		text.WriteString("\n")
	}
	return text.String()
}

// build makes two bridges with three containers, of which one has published ports.
func (s setting) build(t *testing.T) *street {
	for _, key := range []string{"iptables", "ip6tables"} {
		must(t, os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-"+key, []byte(s.bridge), 0o644))
	}
	w := newStreet(t)
	for _, name := range []string{"one", "two", "far"} {
		w.container(name)
		config := network(`"isDefaultGateway": true, "ipMasq": true, "hairpinMode": true, ` + hostLocal(subnet+`], [{"subnet": "fd00:1::/64"}`))
		if name == "far" {
			config = network(`"name": "far", "bridge": "cni1", "isDefaultGateway": true, "ipMasq": true, ` + hostLocal(`{"subnet": "10.2.0.0/24"}], [{"subnet": "fd00:2::/64"}`))
		}
		w.attach(name, config)
	}
	var mappings []string
	for _, protocol := range protocols {
		for _, c := range columns() {
			for _, ip := range c.ips {
				mappings = append(mappings, mapping(protocol, c.port, 80, fmt.Sprintf(`, "hostIP": %q`, ip)))
			}
		}
		for _, is4 := range []bool{true, false} {
			port, ip := otherFamily(is4)
			mappings = append(mappings, mapping(protocol, port, 80, fmt.Sprintf(`, "hostIP": %q`, ip)))
		}
		must(t, in("one", func() error {
			for _, at := range []string{"0.0.0.0:80", "[::]:80"} {
				server, err := peer.Serve("one", protocol+familyOf(protocol, at), at)
				if err != nil {
					return err
				}
				t.Cleanup(func() { server.Close() })
			}
			return nil
		}))
	}
	succeed(t, "ADD", "portmap", "one", w.ports("one", s.keys, mappings...))
	return w
}

// familyOf keeps a socket for :: from taking IPv4 as well.
func familyOf(protocol, address string) string {
	switch {
	case protocol == "sctp":
		return ""
	case strings.HasPrefix(address, "["):
		return "6"
	}
	return "4"
}

// cell is what one client finds at one port, by protocol.
type cell struct {
	client
	to, own string
	seen    [3]string
}

func (w *street) row(c client, is4 bool) (row []*cell) {
	own := map[string]string{outsider: "192.0.2.2"}
	host := c.to4
	if !is4 {
		own[outsider], host = "2001:db8::2", c.to6
	}
	for _, name := range []string{"one", "two", "far"} {
		own[name] = w.address(name, is4).String()
	}
	last, _ := otherFamily(is4)
	for _, port := range append(ports(), last) {
		row = append(row, &cell{client: c, to: net.JoinHostPort(host, fmt.Sprint(port)), own: own[c.container]})
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
const unheard = 3 * time.Second

func (w *street) askAll(cells []*cell) {
	var all sync.WaitGroup
	for _, c := range cells {
		for i, protocol := range protocols {
			all.Go(func() {
				answer := ""
				_ = in(c.container, func() (err error) { // no answer is an answer
					answer, err = peer.Ask(protocol, c.to, unheard)
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
	switch answer {
	case "":
		return "–"
	case "one sees " + c.own + "\n":
		return "client"
	}
	return "host"
}

// text is what the protocols have in common, or each by itself.
func (c *cell) text() string {
	if c.seen[0] == c.seen[1] && c.seen[1] == c.seen[2] {
		return c.seen[0]
	}
	return fmt.Sprintf("tcp %s, udp %s, sctp %s", c.seen[0], c.seen[1], c.seen[2])
}
