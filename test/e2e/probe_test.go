package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"

	"github.com/trestle-cni/trestle/pkg/operator/trace"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/peer"
)

// obstacle is something in the way from one end to another.
type obstacle struct {
	name, plant, from, to string
	outcome               trace.Outcome
	why                   string // in the answer
}

func obstacles() []obstacle {
	const dropped = trace.Dropped
	return []obstacle{
		{"nothing", "", "two", "192.0.2.2:80", trace.Reachable, ""},
		{"nothing, ping", "", "two", "outside", trace.Reachable, ""},
		{"nothing, udp", "", "four", "10.1.0.2:80/udp", trace.Reachable, ""},
		{"nothing, published", "", "outside", "192.0.2.1:8080", trace.Reachable, ""},
		{"nobody listens", "", "two", "192.0.2.2:81", trace.Refused, "nothing listens on tcp of 192.0.2.2:81"},
		{"forwarding off", "echo 0 > /proc/sys/net/ipv4/ip_forward", "two", "192.0.2.2:80", dropped, "net.ipv4.conf.cni0.forwarding is 0"},
		{"policy", "iptables-nft -P FORWARD DROP", "two", "192.0.2.2:80", dropped, "chain FORWARD of ip filter (policy drop), not ours"},
		{"policy of the other flavour", "iptables-legacy -P FORWARD DROP", "two", "192.0.2.2:80", dropped,
			"chain FORWARD of ip filter (policy drop) of iptables-legacy, not ours"},
		{"a rule", "iptables-nft -A FORWARD -p tcp --dport 80 -j REJECT", "two", "192.0.2.2:80", dropped, "-p tcp --dport 80 -j REJECT"},
		{"a rule of another port", "iptables-nft -A FORWARD -p tcp --dport 81 -j DROP", "two", "192.0.2.2:80", trace.Reachable, ""},
		{"a rule by the connection's state", "iptables-nft -A FORWARD -m conntrack --ctstate NEW -i cni0 -j DROP",
			"two", "192.0.2.2:80", dropped, "--ctstate NEW"},
		{"the answer's rule", "iptables-nft -A FORWARD -m conntrack --ctstate ESTABLISHED -o cni0 -j DROP",
			"two", "192.0.2.2:80", trace.Unanswered, "--ctstate ESTABLISHED"},
		{"a rule before connection tracking", "iptables-nft -t raw -A PREROUTING -i cni0 -j DROP",
			"two", "192.0.2.2:80", dropped, "chain PREROUTING of ip raw"},
		{"a rule on the link", "nft 'add table netdev x; add chain netdev x c { type filter hook ingress device uplink priority 0; }; add rule netdev x c drop'",
			"two", "192.0.2.2:80", trace.Unanswered, "chain c of netdev x"},
		{"a rule for frames", "nft 'add table bridge x; add chain bridge x c { type filter hook forward priority 0; }; add rule bridge x c drop'",
			"two", "10.1.0.2:80", dropped, "chain c of bridge x"},
		{"a rule in the target", "ip netns exec outside iptables-nft -A INPUT -p tcp -j DROP",
			"two", "192.0.2.2:80", dropped, "chain INPUT of ip filter"},
		{"reverse path", "echo 1 > /proc/sys/net/ipv4/conf/uplink/rp_filter; ip route add 192.0.2.2/32 dev cni4",
			"outside", "192.0.2.1:8080", dropped, "rp_filter of uplink"},
		{"no route", "ip -n four route del default", "four", "192.0.2.2:80", dropped, "no route to 192.0.2.2"},
		{"an unreachable route", "ip route add unreachable 192.0.2.2/32", "two", "192.0.2.2:80", dropped, "route unreachable 192.0.2.2/32"},
		{"the bridge down", "ip link set cni4 down", "four", "192.0.2.2:80", dropped, "cni4"},
		{"the target's end down", "ip -n one link set eth0 down", "two", "10.1.0.2:80", dropped, "nobody on bridge cni0 answers for 10.1.0.2"},
		{"isolated ports", "for n in one two; do bridge link set dev $(veth $n) isolated on; done",
			"two", "10.1.0.2:80", dropped, "isolated from each other"},
		{"masquerade gone", "nft flush set inet trestle masq4", "two", "192.0.2.2:80", trace.Unanswered, "no rule masquerades net/"},
		{"a mark and a routing rule", `nft 'add table ip x; add chain ip x c { type filter hook prerouting priority -150; }; add rule ip x c iifname cni0 meta mark set 9'
ip rule add fwmark 9 table 99; ip route add blackhole default table 99`, "two", "192.0.2.2:80", dropped, "route blackhole default"},
	}
}

// TestObstacles asks trace with something in the way, and has it send a packet. Both must come to the same, and trace must name what it is.
func TestObstacles(t *testing.T) {
	for _, o := range obstacles() {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				standing(t)
				shell(t, veth+o.plant)
				a := traced(t, o.from, o.to, "--live")
				if a.Outcome != o.outcome || !strings.Contains(a.Why, o.why) {
					t.Errorf("%s: %s, want %s: %s", a.Outcome, a.Why, o.outcome, o.why)
				}
				if (a.Live.Outcome == trace.Reachable) != (o.outcome == trace.Reachable) || len(a.Live.Silent) > 0 {
					t.Errorf("a real packet: %+v", a.Live)
				}
			})
		})
	}
}

// standing is the healthy host of the tests of doctor, with servers.
func standing(t *testing.T) {
	healthy(t)
	for _, name := range []string{"one", "outside"} {
		must(t, in(name, func() error {
			tcp, err := peer.Serve(name, "tcp4", "0.0.0.0:80")
			if err == nil {
				t.Cleanup(func() { tcp.Close() })
			}
			udp, err2 := peer.Serve(name, "udp4", "0.0.0.0:80")
			if err2 == nil {
				t.Cleanup(func() { udp.Close() })
			}
			return errors.Join(err, err2)
		}))
	}
}

func traced(t *testing.T, args ...string) *trace.Answer {
	t.Helper()
	out, err := exec.Command(filepath.Join(os.Getenv(pluginsVar), "trestle"), append([]string{"trace", "--json"}, args...)...).Output()
	var a trace.Answer
	if exit := new(exec.ExitError); err == nil || errors.As(err, &exit) { // the status says whether it arrives
		err = json.Unmarshal(out, &a)
	}
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return &a
}

// TestNoTraceOfTrace ends a probe in its middle in the hardest way. Its tables are gone with it.
func TestNoTraceOfTrace(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		standing(t)
		shell(t, "ip route add blackhole 198.51.100.0/24")
		conn, err := nftables.New()
		must(t, err)
		events, err := conn.AddMonitor(nftables.NewMonitor(nftables.WithMonitorObject(nftables.MonitorObjectTables)))
		must(t, err)
		cmd := exec.Command(filepath.Join(os.Getenv(pluginsVar), "trestle"), "trace", "--live", "two", "198.51.100.1:80")
		must(t, cmd.Start())
		for deadline, made := time.After(soon()), false; !made; {
			select {
			case e := <-events:
				table, ok := e.Data.(*nftables.Table)
				made = ok && e.Type == nftables.MonitorEventTypeNewTable && strings.HasPrefix(table.Name, "trestle-trace")
			case <-deadline:
				t.Fatal("no table was made")
			}
		}
		must(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
		tables, err := conn.ListTables()
		must(t, err)
		for _, table := range tables {
			if table.Name != "trestle" {
				t.Errorf("left: %s", table.Name)
			}
		}
	})
}
