package e2e

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var updateMatrix = flag.Bool("update-matrix", false, "write docs/firewall-matrix.md")

// matrixColumn is who talks to whom.
type matrixColumn struct {
	name    string
	asks    string    // who, and what of each family
	targets [2]string // IPv4, IPv6
	closed  string    // the ingressPolicies under which nothing gets through
}

func matrixColumns() []matrixColumn {
	a1 := [2]string{"10.71.0.2:80", "[fd00:71::2]:80"}
	return []matrixColumn{
		{"same bridge", "a2", a1, "isolated"},
		{"other bridge", "b1", a1, "same-bridge isolated"},
		{"to the outside", "a1", [2]string{"192.0.2.2:80", "[2001:db8::2]:80"}, ""},
		{"published port", "far", [2]string{"192.0.2.1:8080", "[2001:db8::1]:8080"}, ""},
		{"ptp neighbour", "p1", a1, ""},
	}
}

// matrixCell is one host of the matrix.
type matrixCell struct{ backend, forward, ingress string }

func matrixCells() (list []matrixCell) {
	for _, backend := range []string{"nftables", "iptables", "firewalld"} {
		for _, forward := range []string{"ACCEPT", "DROP"} {
			for _, ingress := range []string{"open", "same-bridge", "isolated"} {
				list = append(list, matrixCell{backend, forward, ingress})
			}
		}
	}
	return list
}

func (c matrixCell) String() string { return c.backend + "-" + c.forward + "-" + c.ingress }

// opens says whether the column's traffic gets through.
func (c matrixCell) opens(to matrixColumn) bool { return !strings.Contains(to.closed, c.ingress) }

// begin is what runs on the host before there is any container.
func (c matrixCell) begin() string {
	if c.backend == "firewalld" {
		return c.backend + "\n"
	}
	return ""
}

// script is the host's, in which traffic decides each column.
func (c matrixCell) script() string {
	var s strings.Builder
	fmt.Fprintf(&s, `%[2]srouter
netns a1 a2 b1 p1
outside far
exec /usr/sbin/iptables -P FORWARD %[1]s
exec /usr/sbin/ip6tables -P FORWARD %[1]s
serve far tcp :80
runtime add a.conflist a1 'caps={"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]}'
runtime add a.conflist a2
runtime add b.conflist b1
runtime add p.conflist p1
runtime check a.conflist a1 'caps={"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"}]}'
serve a1 tcp :80
`, c.forward, c.begin())
	for _, to := range matrixColumns() {
		for _, target := range to.targets {
			ask := "ask " + to.asks + " tcp " + target
			if !c.opens(to) {
				ask = "! " + ask
			}
			s.WriteString(ask + "\n")
		}
	}
	s.WriteString(`runtime del a.conflist a1
runtime del a.conflist a2
runtime del b.conflist b1
runtime del p.conflist p1
exec /usr/sbin/iptables -S FORWARD
! stdout 'trestle anchor'
exec /usr/sbin/ip6tables -S FORWARD
! stdout 'trestle anchor'
`)
	return s.String() + c.lists()
}

// lists are the networks.
func (c matrixCell) lists() string {
	var s strings.Builder
	for name, net := range map[string]string{"a": `"type": "bridge", "bridge": "mx0", "isDefaultGateway": true, "ipMasq": true`,
		"b": `"type": "bridge", "bridge": "mx1", "isDefaultGateway": true`, "p": `"type": "ptp"`} {
		number := map[string]int{"a": 71, "b": 72, "p": 73}[name]
		ingress := c.ingress
		if name == "p" {
			ingress = "open"
		}
		fmt.Fprintf(&s, `-- %s.conflist --
{"cniVersion": "1.1.0", "name": %[1]q, "plugins": [{%[2]s, "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.%[3]d.0.0/24"}], [{"subnet": "fd00:%[3]d::/64"}]],
  "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}, {"type": "firewall", "backend": %[4]q, "ingressPolicy": %[5]q}]}
`, name, net, number, c.backend, ingress)
	}
	return s.String()
}

// TestFirewallMatrix has real traffic decide every cell, and holds the page that shows them.
func TestFirewallMatrix(t *testing.T) {
	for _, c := range matrixCells() {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), c.String()+".txtar")
			must(t, os.WriteFile(file, []byte(c.script()), 0o644))
			script(t, file, setup)
		})
	}
}

// TestFirewallMatrixPage holds docs/firewall-matrix.md.
func TestFirewallMatrixPage(t *testing.T) {
	const page = "../../docs/firewall-matrix.md"
	want := matrixPage()
	if *updateMatrix {
		must(t, os.WriteFile(page, []byte(want), 0o644))
	}
	have, err := os.ReadFile(page)
	must(t, err)
	if diff := cmp.Diff(want, string(have)); diff != "" {
		t.Errorf("go test ./test/e2e -run MatrixPage -update-matrix (-want +page):\n%s", diff)
	}
}

func matrixPage() string {
	var s strings.Builder
	s.WriteString(`# Who gets through, by the plugin firewall

Each cell is traffic that ` + "`TestFirewallMatrix`" + ` has sent, to a container on a bridge whose list ends in firewall: from another on the same bridge, from one on
another bridge with the same ` + "`ingressPolicy`" + `, from the container to the outside, from the outside to a published port, and from a container of ptp with the policy open.
FORWARD is the policy of iptables' chain of that name; where the backend is firewalld, a real one runs, whose zone of all other traffic passes nothing on. Written by the test; do not edit.

| backend | FORWARD | ingressPolicy | family |`)
	for _, to := range matrixColumns() {
		s.WriteString(" " + to.name + " |")
	}
	s.WriteString("\n|---|---|---|---|" + strings.Repeat("---|", len(matrixColumns())) + "\n")
	for _, c := range matrixCells() {
		for _, family := range []string{"IPv4", "IPv6"} {
			fmt.Fprintf(&s, "| %s | %s | %s | %s |", c.backend, c.forward, c.ingress, family)
			for _, to := range matrixColumns() {
				s.WriteString(map[bool]string{true: " yes |", false: " no |"}[c.opens(to)])
			}
			s.WriteString("\n")
		}
	}
	return s.String()
}
