package ruleset

import (
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
)

// routes is a host that has 192.0.2.1, as rules see it.
type routes struct{}

func (routes) AddrType(a netip.Addr, link string) (uint8, bool) {
	if a == netip.MustParseAddr("192.0.2.1") {
		return unix.RTN_LOCAL, true
	}
	return unix.RTN_UNICAST, true
}
func (routes) Out(netip.Addr, uint32) (int, bool) { return 7, true }
func (routes) Masquerade(Packet) (netip.Addr, bool) {
	return netip.MustParseAddr("192.0.2.1"), true
}

func segment(to string, port uint16) Packet {
	return Packet{Source: netip.MustParseAddr("10.1.0.2"), Destination: netip.MustParseAddr(to), Protocol: unix.IPPROTO_TCP, SourcePort: 40000,
		DestinationPort: port, In: Link{Name: "cni0", Index: 7}, Out: Link{Name: "eth0", Index: 2}, State: New}
}

// judgement is a verdict in a line: action, who decided, and where the packet goes.
func judgement(v Verdict) string {
	text := string(v.Action)
	if v.Action == Unknown {
		return text + ": " + v.Reason
	}
	if v.Action != Accept {
		text += " by " + v.By().String()
	}
	if v.Translated {
		text += " " + netip.AddrPortFrom(v.Packet.Source, v.Packet.SourcePort).String() + ">" + netip.AddrPortFrom(v.Packet.Destination, v.Packet.DestinationPort).String()
	}
	return text
}

// TestJudge has a ruleset, a packet and what becomes of it, for each kind of thing that a rule can ask.
func TestJudge(t *testing.T) {
	filter := func(rules string) string {
		return "table inet t { chain sub { accept; }; chain c { type filter hook forward priority 0; " + rules + "; }; }"
	}
	dnat := func(rules string) string {
		return "table ip t { chain c { type nat hook prerouting priority -100; " + rules + "; }; }"
	}
	web, dns := segment("203.0.113.9", 80), segment("203.0.113.9", 53)
	dns.Protocol = unix.IPPROTO_UDP
	host := segment("192.0.2.1", 8080)
	host.Out = Link{}
	ping := host
	ping.Protocol, ping.SourcePort, ping.DestinationPort = unix.IPPROTO_ICMP, 0, 0
	published := func(element string) string {
		return "table ip t { map m { type ipv4_addr . inet_proto . inet_service : verdict; flags interval; elements = { " + element +
			" : drop }; }; chain c { type filter hook prerouting priority -100; ip daddr . meta l4proto . th dport vmap @m; }; }"
	}
	tests := []struct {
		name, rules string
		hook        Hook
		packet      Packet
		want        string
	}{
		{"nothing", "", Forward, web, "accept"},
		{"policy", filter("policy drop"), Forward, web, "drop by chain c of inet t (policy drop)"},
		{"port", filter("tcp dport 80 drop"), Forward, web, "drop by chain c of inet t (tcp dport 80 drop)"},
		{"another protocol", filter("tcp dport 53 drop"), Forward, dns, "accept"},
		{"prefix", filter("ip saddr 10.1.0.0/16 reject"), Forward, web, "reject by chain c of inet t (ip saddr 10.1.0.0/16 reject)"},
		{"the other family", filter("ip6 daddr ::/0 drop"), Forward, web, "accept"},
		{"jump", filter("iifname cni0 jump sub; drop"), Forward, web, "accept"},
		{"state", filter("ct state established accept; drop"), Forward, web, "drop by chain c of inet t (drop)"},
		{"one of several", filter("tcp dport { 22, 80-90 } drop"), Forward, web, "drop by chain c of inet t (tcp dport { 22, 80-90 } drop)"},
		{"between", filter("tcp dport 100-200 drop"), Forward, web, "accept"},
		{"verdict map", filter("meta l4proto . th dport vmap { tcp . 80 : drop, udp . 53 : accept }"), Forward, web,
			"drop by chain c of inet t (meta l4proto . th dport vmap { tcp . 80 : drop, udp . 53 : accept })"},
		{"a mark set and read", filter("iifname cni0 meta mark set 0x10; meta mark & 0xff == 0x10 drop"), Forward, web,
			"drop by chain c of inet t (meta mark and 0xff == 0x10 drop)"},
		{"a later chain", "table ip a { chain c { type filter hook forward priority -10; accept; }; }; " + filter("drop"), Forward, web,
			"drop by chain c of inet t (drop)"},
		{"unknown, no matter", filter("limit rate 1/second counter; tcp dport 80 drop"), Forward, web, "drop by chain c of inet t (tcp dport 80 drop)"},
		{"unknown", filter("limit rate 1/second drop"), Forward, web, `unknown: chain c of inet t: rule "[limit] drop" uses limit`},
		{"unknown of another port", filter("tcp dport 22 limit rate 1/second drop"), Forward, web, "accept"},
		{"who sent it", filter("meta skuid 0 drop"), Forward, web, `unknown: chain c of inet t: rule "meta skuid 0 drop" uses what is not known of the packet`},
		{"a zone", filter("ct zone 5 drop"), Forward, web, `unknown: chain c of inet t: rule "[ct key 17] 0x0500 drop" uses what is not known of the packet`},
		{"local", dnat("fib daddr type local tcp dport 8080 dnat to 10.1.0.2:80"), Prerouting, host, "accept 10.1.0.2:40000>10.1.0.2:80"},
		{"not local", dnat("fib daddr type local dnat to 10.1.0.2"), Prerouting, web, "accept"},
		{"map", dnat("dnat to tcp dport map { 8080 : 10.1.0.9 }"), Prerouting, host, "accept 10.1.0.2:40000>10.1.0.9:8080"},
		{"a ping, and a map of ports", dnat("dnat to meta l4proto . th dport map { tcp . 8080 : 10.1.0.9 . 80, udp . 53 : 10.1.0.9 . 53 }"), Prerouting, ping, "accept"},
		{"a ping, and ranges of ports", published("192.0.2.0/24 . tcp . 1-9999"), Prerouting, ping, "accept"},
		{"a ping, and a map of pings", published("192.0.2.0/24 . icmp . 0-65535"), Prerouting, ping,
			`unknown: chain c of ip t: rule "ip daddr . meta l4proto . th dport vmap @m" looks up what is not known of the packet`},
		{"a ping, and a set of ports", filter("meta l4proto . th dport { tcp . 80, udp . 53 } drop"), Forward, ping, "accept"},
		{"a ping, and another set of ports", filter("meta l4proto . th dport != { tcp . 80, udp . 53 } drop"), Forward, ping,
			"drop by chain c of inet t (meta l4proto . th dport != { tcp . 80, udp . 53 } drop)"},
		{"the first wins", dnat("dnat to 10.1.0.3; dnat to 10.1.0.4"), Prerouting, host, "accept 10.1.0.2:40000>10.1.0.3:8080"},
		{"translated, then filtered", dnat("ip protocol tcp dnat to 10.1.0.3:80") + "\ntable inet f { chain c { type filter hook prerouting priority 0; ip daddr 10.1.0.3 drop; }; }",
			Prerouting, host, "drop by chain c of inet f (ip daddr 10.1.0.3 drop) 10.1.0.2:40000>10.1.0.3:80"},
		{"before connection tracking", "table ip t { chain c { type filter hook prerouting priority raw; ct state new drop; }; }", Prerouting, host, "accept"},
		{"masquerade", "table ip t { chain c { type nat hook postrouting priority 100; oifname eth0 masquerade; }; }", Postrouting, web,
			"accept 192.0.2.1:40000>203.0.113.9:80"},
		{"reverse path", "table inet t { chain c { type filter hook prerouting priority 0; fib saddr . iif oif missing drop; }; }", Prerouting, host, "accept"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				nstest.Program(t, test.rules, "/usr/sbin/nft", "-f", "-")
				hold(t, test.hook, test.packet, test.want)
			})
		})
	}
}

func hold(t *testing.T, hook Hook, p Packet, want string) {
	t.Helper()
	r, err := Read(t.Context(), nil)
	must(t, err)
	if got := judgement(r.Judge(hook, p, routes{})); got != want {
		t.Errorf("got  %s\nwant %s\n%s", got, want, listing(r))
	}
}

// TestJudgeIPTables has the same rules by both flavours of iptables.
func TestJudgeIPTables(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		host := segment("192.0.2.1", 8080)
		for _, flavour := range []string{"nft", "legacy"} {
			tool := func(args string) {
				t.Helper()
				nstest.Program(t, "", "/usr/sbin/iptables-"+flavour, strings.Fields(args)...)
			}
			tool("-t nat -A PREROUTING -m addrtype --dst-type LOCAL -p tcp -m multiport --dports 22,8080:8090 -j DNAT --to-destination 10.1.0.2:80")
			hold(t, Prerouting, host, "accept 10.1.0.2:40000>10.1.0.2:80")
			tool("-P FORWARD DROP")
			hold(t, Forward, segment("10.1.0.2", 80), "drop by chain FORWARD of ip filter (policy drop)")
			tool("-A FORWARD -m conntrack --ctstate NEW -d 10.1.0.2/32 -j ACCEPT")
			hold(t, Forward, segment("10.1.0.2", 80), "accept")
			tool("-I FORWARD -m statistic --mode random --probability 0.5 -j DROP")
			r, err := Read(t.Context(), nil)
			must(t, err)
			if v := r.Judge(Forward, segment("10.1.0.2", 80), nil); v.Action != Unknown || !strings.Contains(v.Reason, "statistic") {
				t.Errorf("%s: a rule by chance: %s", flavour, judgement(v))
			}
			tool("-F FORWARD")
			tool("-P FORWARD ACCEPT")
			tool("-t nat -F PREROUTING")
		}
	})
}
