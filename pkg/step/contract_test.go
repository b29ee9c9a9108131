package step

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/backup"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/plan"
)

// change is something that happens to a step's work behind its back: a command that breaks it, one that mends it (none: the step's own
// Apply does), and a word that Verify must say. Commands that begin with "in " run in the container.
type change struct{ breaks, mends, word string }

// renamed gives a link another name; before Linux 6.2 it has to be down for that.
func renamed(from, to string) string {
	return fmt.Sprintf("sh\n-c\nip link set %[1]s down && ip link set %[1]s name %[2]s && ip link set %[2]s up", from, to)
}

// contract is what one kind of step promises in one setting.
type contract struct {
	name    string
	base    []plan.Step // what is there before
	step    plan.Step
	changes []change
}

var (
	full   = []plan.Step{br, pair, addrs, pairUp}
	routes = Routes{IfName: "eth0", Subnets: addrs.Addrs, Routes: []Route{
		{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("10.1.0.1")},
		{Dst: netip.MustParsePrefix("::/0"), Via: netip.MustParseAddr("fd00::1")},
		{Dst: netip.MustParsePrefix("192.0.2.0/24"), Via: netip.MustParseAddr("10.1.0.9"), Priority: 50, MTU: 1300, AdvMSS: 1260},
		{Dst: netip.MustParsePrefix("192.0.3.0/24"), Scope: 253, Table: 100},
	}}
)

func contracts() []contract {
	shape := Shape{Owner: one, IfName: "eth0", Hosts: []string{link}, Rate: 8000000, Burst: 800000}
	tuning := Tuning{Owner: one, Dir: "/run/backups", IfName: "eth0", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 7}, MTU: 1400, Promisc: true, AllMulti: "on", TxQLen: "77",
		Sysctls: []Sysctl{{Key: "net/ipv4/conf/eth0/arp_filter", Value: "1"}, {Key: "net/ipv4/tcp_keepalive_time", Value: " 0x1f4 "}}}
	promisc, tuned := br, pair
	promisc.Promisc, promisc.MTU = true, 1400
	alone, aloneAddrs := pair, addrs
	alone.Bridge, aloneAddrs.Alone = "", true
	tuned.Hairpin, tuned.Isolated, tuned.MTU, tuned.ContainerMTU = true, true, 1400, 1400
	lone := Lone{Owner: one, IfName: "eth0", Form: Macvlan{Mode: "bridge", Queued: 2000}, Parent: Parent{Name: "br0"}, MAC: net.HardwareAddr{2, 0, 0, 0, 2, 1}, MTU: 1400}
	return []contract{
		{"lone link", []plan.Step{br}, lone, []change{
			{"in ip link set eth0 mtu 1300", "in ip link set eth0 mtu 1400", "mtu of eth0: expected 1400, found 1300"},
			{"in ip link set eth0 address 02:00:00:00:00:01", "in ip link set eth0 address 02:00:00:00:02:01", "mac of eth0"},
			{"in ip link set eth0 type macvlan mode vepa", "in ip link set eth0 type macvlan mode bridge", "mode of eth0: expected bridge, found vepa"},
			{"in ip link set eth0 type macvlan bcqueuelen 77", "in ip link set eth0 type macvlan bcqueuelen 2000", "bcqueuelen of eth0"},
			{"in ip link set eth0 alias x", "in ip\nlink\nset\neth0\nalias\n" + one.Tag(255), "alias of eth0"},
			{renamed("br0", "br7"), renamed("br7", "br0"), "parent of eth0: expected br0, found br7"},
		}},
		{"host's way to a lone link", []plan.Step{br, Gateway{Link: "br0", Addrs: prefixes("10.1.0.1/24", "fd00::1/64")}, lone, addrs, Up{IfName: "eth0"}},
			Shim{Owner: one, Wanted: true, IfName: "eth0", Addrs: addresses("10.1.0.2", "fd00::2")}, []change{
				{"ip route del 10.1.0.2/32", "", "way to 10.1.0.2"},
				{"ip link del " + link, "", "link " + link + ": not found"},
				{"ip link set " + link + " alias x", "", "alias of " + link},
			}},
		{"bridge", nil, br, []change{
			{"ip link set br0 down", "", "expected up, found down"},
			{"sysctl -qw net.ipv6.conf.br0.accept_ra=1", "", "accept_ra"},
		}},
		{"promiscuous bridge", nil, promisc, []change{{"ip link set br0 promisc off", "", "promiscuous"}}},
		{"veth", []plan.Step{br}, pair, vethChanges()},
		{"tuned veth", []plan.Step{br}, tuned, []change{
			{"bridge link set dev " + link + " hairpin off", "bridge link set dev " + link + " hairpin on", "hairpin"},
			{"bridge link set dev " + link + " isolated off", "bridge link set dev " + link + " isolated on", "isolation"},
			{"ip link set " + link + " mtu 1500", "ip link set " + link + " mtu 1400", "expected 1400, found 1500"},
			{"in ip link set eth0 mtu 1300", "in ip link set eth0 mtu 1400", "expected 1400, found 1300"},
		}},
		{"addresses", []plan.Step{br, pair}, addrs, []change{
			{"in ip addr del 10.1.0.2/24 dev eth0", "in ip addr add 10.1.0.2/24 dev eth0", "10.1.0.2/24"},
			{"in ip addr del fd00::2/64 dev eth0", "in ip addr add fd00::2/64 dev eth0 nodad", "fd00::2/64"},
		}},
		{"up", []plan.Step{br, pair, addrs}, pairUp, []change{
			{"in ip link set eth0 down", "in ip link set eth0 up", "link eth0: expected up, found down"},
			{"ip link set " + link + " down", "ip link set " + link + " up", link},
		}},
		{"host end up", []plan.Step{br, pair}, Up{Host: link}, []change{{"ip link set " + link + " down", "ip link set " + link + " up", link}}},
		{"routes", full, routes, []change{
			{"in ip route del default", "in ip route add default via 10.1.0.1", "0.0.0.0/0 via 10.1.0.1"},
			{"in ip route replace default via 10.1.0.77", "in ip route replace default via 10.1.0.1", "10.1.0.77"},
			{"in ip -6 route del default", "in ip -6 route add default via fd00::1 dev eth0", "::/0 via fd00::1"},
			{"in ip route del 192.0.3.0/24 table 100", "in ip route add 192.0.3.0/24 dev eth0 table 100", "192.0.3.0/24"},
			{"in ip route del 10.1.0.0/24", "in ip route add 10.1.0.0/24 dev eth0 proto kernel src 10.1.0.2", "10.1.0.0/24"},
		}},
		{"sources", append(full, routes), sourced(), []change{
			{"in ip rule del from 10.1.0.2", "in ip rule add from 10.1.0.2 lookup 101 proto 116", "rule from 10.1.0.2"},
			{"in ip -6 rule del from fd00::2", "", "rule from fd00::2"},
			{"in ip route flush table 101", "in sh\n-c\nip route add 10.1.0.0/24 dev eth0 proto kernel scope link src 10.1.0.2 table 101; ip route add default via 10.1.0.1 table 101; " +
				"ip route add 192.0.2.0/24 via 10.1.0.9 metric 50 mtu 1300 advmss 1260 table 101", "10.1.0.0/24 in table 101"},
			{"in ip route add 198.51.100.0/24 via 10.1.0.7 dev eth0 onlink", "in ip route del 198.51.100.0/24", "table main without it, found 198.51.100.0/24 via 10.1.0.7"},
			{"in ip -6 route del fe80::/64 table 102", "", "fe80::/64 in table 102"},
		}},
		{"sources, gateways by name", append(full, routes), Sourced{IfName: "eth0", Sources: []Source{
			{Addr: addrs.Addrs[0], Gateway: netip.MustParseAddr("10.1.0.77"), Asked: true}, {Addr: addrs.Addrs[1], Gateway: netip.MustParseAddr("fd00::77"), Asked: true}}}, []change{
			{"in ip route del default via 10.1.0.77 table 101", "", "0.0.0.0/0 via 10.1.0.77"},
			{"in ip -6 route del default via fd00::77 table 102", "", "::/0 via fd00::77"},
		}},
		{"sources, hints", append(full, routes), Sourced{IfName: "eth0", Sources: sourced().Sources, Hints: true}, []change{
			{"in ip -6 route del fd00::/64 dev eth0", "", "fd00::/64 in table 254"},
		}},
		{"sources, a table of others", append(full, routes), Sourced{IfName: "eth0", Sources: sourced().Sources, Table: 100}, []change{
			{"in ip rule del from 10.1.0.2", "", "rule from 10.1.0.2"},
		}},
		{"gateway", []plan.Step{br}, Gateway{Link: "br0", Addrs: prefixes("10.1.0.1/24", "fd00::1/64")}, []change{
			{"ip addr del 10.1.0.1/24 dev br0", "", "expected 10.1.0.1/24"},
			{"ip addr del fd00::1/64 dev br0", "", "expected fd00::1/64"},
		}},
		{"veth without a bridge", []plan.Step{br}, alone, []change{
			{"ip link set " + link + " master br0", "ip link set " + link + " nomaster", "bridge of " + link},
		}},
		{"host's end", []plan.Step{alone, aloneAddrs, pairUp}, HostEnd{Link: link, Gateways: addresses("10.1.0.1", "fd00::1"), Addrs: addresses("10.1.0.2", "fd00::2")}, []change{
			{"ip route del 10.1.0.2/32", "ip route add 10.1.0.2/32 dev " + link + " scope host", "way to 10.1.0.2"},
			{"ip addr del fd00::1/128 dev " + link, "ip addr add fd00::1/128 dev " + link + " nodad", "fd00::1/128"},
		}},
		{"neighbours", []plan.Step{alone, aloneAddrs, pairUp}, Neighbours{IfName: "eth0", Addrs: addresses("10.1.0.1", "fd00::1"), MAC: net.HardwareAddr{2, 0, 0, 0, 0, 9}}, []change{
			{"in ip neigh del 10.1.0.1 dev eth0", "", "10.1.0.1: expected at 02:00:00:00:00:09"},
			{"in ip neigh replace fd00::1 lladdr 02:00:00:00:00:08 dev eth0 nud permanent", "", "fd00::1: expected at 02:00:00:00:00:09"},
			{"in ip neigh replace 10.1.0.1 lladdr 02:00:00:00:00:09 dev eth0 nud reachable", "", "10.1.0.1: expected at 02:00:00:00:00:09"},
		}},
		{"loopback", nil, Loopback{Owner: one}, []change{
			{"in ip link set lo down", "", "link lo: expected up, found down"},
			{"in ip addr del 127.0.0.1/8 dev lo", "", "expected 127.0.0.1/8"},
			{"in ip addr del ::1/128 dev lo", "", "expected ::1/128"},
		}},
		{"backup", []plan.Step{br, pair}, Backup{Tuning: tuning}, []change{
			{"sed -i s/arp_filter/arp_accept/ " + backup.Path("/run/backups", "c1", "eth0"), "sed -i s/arp_accept/arp_filter/ " + backup.Path("/run/backups", "c1", "eth0"), "arp_filter"},
		}},
		{"tuning", []plan.Step{br, pair, Backup{Tuning: tuning}}, Tuned{Tuning: tuning}, []change{
			{"in ip link set eth0 address 02:00:00:00:00:01", "", "mac 02:00:00:00:00:07"},
			{"in ip link set eth0 mtu 1300", "", "mtu 1400"},
			{"in ip link set eth0 promisc off", "", "promisc"},
			{"in ip link set eth0 allmulticast off", "", "allmulti on"},
			{"in ip link set eth0 txqueuelen 5", "", "txQLen 77"},
			{"in sysctl -qw net.ipv4.conf.eth0.arp_filter=0", "", "arp_filter: expected 1, found 0"},
			{"in sysctl -qw net.ipv4.tcp_keepalive_time=501", "", "tcp_keepalive_time: expected 0x1f4, found 501"},
		}},
		{"shaped", full, Shaped{shape}, []change{{"tc qdisc del dev " + link + " root", "", "queue of " + link}}},
		{"mirrored", full, Mirrored{Shape: shape, Name: MirrorNames(one)[0], MAC: MirrorMAC(MirrorNames(one)[0])}, []change{
			{"ip link set " + MirrorNames(one)[0] + " alias x", "", "alias of bwp"},
			{"ip\nlink\nset\n" + MirrorNames(one)[0] + "\nalias\n", "", "alias of bwp"},
			{"tc qdisc del dev " + MirrorNames(one)[0] + " root", "", "queue of bwp"},
			{"tc qdisc del dev " + link + " ingress", "", "led to bwp"},
			{"ip link set " + MirrorNames(one)[0] + " down", "", "expected up, found down"},
		}},
		{"masquerade", []plan.Step{br, pair}, Claim{Owner: one, Known: true, Claim: firewall.Claim{Role: firewall.Masquerade, Linked: true,
			Masq: []firewall.Masq{{Addr: netip.MustParseAddr("10.1.0.2"), Subnet: netip.MustParsePrefix("10.1.0.0/24")}}}}, nil},
	}
}

func sourced() Sourced {
	return Sourced{IfName: "eth0", Sources: []Source{{Addr: addrs.Addrs[0], Gateway: netip.MustParseAddr("10.1.0.1")}, {Addr: addrs.Addrs[1], Gateway: netip.MustParseAddr("fd00::1")}}}
}

func vethChanges() []change {
	alias := one.Tag(255)
	return []change{
		{"ip link set " + link + " nomaster", "ip link set " + link + " master br0", "bridge of " + link},
		{"ip link set " + link + " mtu 1400", "ip link set " + link + " mtu 1500", "expected 1500, found 1400"},
		{"bridge link set dev " + link + " hairpin on", "bridge link set dev " + link + " hairpin off", "hairpin"},
		{"bridge link set dev " + link + " isolated on", "bridge link set dev " + link + " isolated off", "isolation"},
		{"ip link set " + link + " address 02:00:00:00:00:01", "ip link set " + link + " address 02:00:00:00:01:01", "mac of " + link},
		{"in ip link set eth0 address 02:00:00:00:00:01", "in ip link set eth0 address 02:00:00:00:02:01", "mac of eth0"},
		{"ip link set " + link + " alias x", "ip\nlink\nset\n" + link + "\nalias\n" + alias, "alias of " + link},
		{"in ip link set eth0 name eth7", "in ip link set eth7 name eth0", "link eth0: not found"},
	}
}

// elsewhere are the kinds that have tests of their own instead of a contract, and why.
var elsewhere = map[string]string{
	"Moved":      "device_test.go: it needs a device",
	"Along":      "device_test.go: it goes with a device",
	"Mirror":     "it makes nothing, and removes what a Mirrored made: law 13",
	"Announce":   "it tells others, and makes nothing",
	"Isolation":  "shared by all containers of a bridge: filter_isolation_test.go",
	"Listening":  "it waits, and makes nothing",
	"DAD":        "it waits, and makes nothing",
	"Deaf":       "a setting of the container's, which others may change on purpose",
	"Guard":      "constant rules, which stay, and the group of a link: filter_guard_test.go",
	"Sysctls":    "they go with the link, before it is up: test/e2e/sysctl_test.go",
	"Tables":     "constant: what an ADD makes stays",
	"Forwarding": "shared with the whole host: what an ADD sets stays",
	"Localhost":  "a setting of a bridge that published ports share",
	"Localhost6": "a route of a bridge that published ports share",
	"VLANPort":   "this kernel may have no VLANs",
	"PortVLANs":  "this kernel may have no VLANs",
	"VRF":        "this kernel may have none: link_vrf_test.go",
}

// A kind of step without a contract fails, and one that has one need not be excused.
func TestEveryKindHasAContract(t *testing.T) {
	held := make(map[string]bool)
	for _, c := range contracts() {
		held[reflect.TypeOf(c.step).Name()] = true
	}
	for _, kind := range kinds(t) {
		if _, excused := elsewhere[kind]; held[kind] == excused {
			t.Errorf("step %s: contract %v, excused %v: give it a contract in contracts(), or the reason why it has a test of its own", kind, held[kind], excused)
		}
	}
}

// kinds returns the names of the types that are steps: those with a method Apply.
func kinds(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Name.Name == "Apply" && f.Recv != nil {
				names = append(names, f.Recv.List[0].Type.(*ast.Ident).Name)
			}
		}
	}
	return names
}

// Every kind of step keeps its promises: applied twice it creates once, Verify is silent then and names each change, undone it leaves what
// was there before, and undone twice it succeeds.
func TestContracts(t *testing.T) {
	for _, c := range contracts() {
		t.Run(c.name, func(t *testing.T) { onHost(t, c.hold) })
	}
}

func (c contract) hold(h *host) {
	h.apply(c.base...)
	if claim, ok := c.step.(Claim); ok { // the constant part of the filter is ground
		filter, err := h.Filter()
		h.must(err)
		h.must(filter.Ground(h.ctx))
		refuses(h, claim.Verify(h.ctx, h.Site), fault.Drift)
	}
	before := h.snapshot()
	if created, err := c.step.Apply(h.ctx, h.Site); err != nil || !created {
		h.Fatalf("applied: created %v, %v", created, err)
	}
	made := h.snapshot()
	if made == before {
		h.Error("nothing was made")
	}
	if created, err := c.step.Apply(h.ctx, h.Site); err != nil || created {
		h.Errorf("applied again: created %v, %v", created, err)
	}
	h.same("applied again", made)
	h.must(c.step.Verify(h.ctx, h.Site))
	for _, change := range c.changes {
		change.show(h, c.step)
	}
	h.must(c.step.Undo(h.ctx, h.Site))
	h.same("undone", before)
	refuses(h, c.step.Verify(h.ctx, h.Site), fault.Drift)
	h.must(c.step.Undo(h.ctx, h.Site))
}

func (c change) show(h *host, step plan.Step) {
	h.Helper()
	c.do(h, c.breaks)
	refuses(h, step.Verify(h.ctx, h.Site), fault.Drift, c.word)
	if c.mends == "" {
		h.apply(step)
	} else {
		c.do(h, c.mends)
	}
	if err := step.Verify(h.ctx, h.Site); err != nil {
		h.Errorf("after %q: %v", c.mends, err)
	}
}

// do runs a command on the side that it names.
func (c change) do(h *host, command string) {
	h.Helper()
	if rest, ok := strings.CutPrefix(command, "in "); ok {
		h.inside(rest)
		return
	}
	h.run(command)
}

// A DEL whose sandbox is gone undoes what is on the host, and steps in the container are done; an ADD cannot go on.
func TestSandboxGone(t *testing.T) {
	onHost(t, func(h *host) {
		h.apply(br)
		before := h.snapshot()
		h.apply(pair, addrs, pairUp, routes)
		gone := h.open("")
		for _, step := range []plan.Step{addrs, pair, routes, DAD{IfName: "eth0"}, Announce{Host: link, IfName: "eth0", Bridge: "br0", Subnet: "br0"}, Loopback{Owner: one}} {
			_, err := step.Apply(context.Background(), gone)
			refuses(t, err, fault.Namespace, "sandbox: gone")
		}
		for _, step := range []plan.Step{Announce{Host: link, IfName: "eth0", Bridge: "br0", Subnet: "br0", Addrs: []netip.Addr{netip.MustParseAddr("10.1.0.2")}}, routes, DAD{IfName: "eth0"}, pairUp, addrs, pair, Loopback{Owner: one}} {
			if err := step.Undo(context.Background(), gone); err != nil {
				t.Errorf("%s: %v", step, err)
			}
		}
		h.same("undone without the sandbox", before)
	})
}
