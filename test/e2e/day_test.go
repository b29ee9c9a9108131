package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/pkg/operator/doctor"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/peer"
)

// day are faults of an operator's day, each planted on the healthy host of the tests of doctor.
var day = map[string]string{
	"nothing":                            "",
	"bridge deleted":                     "ip link del cni0",
	"bridge down":                        "ip link set cni0 down",
	"bridge without its gateway":         "ip addr del 10.1.0.1/24 dev cni0",
	"bridge without all addresses":       "ip addr flush dev cni0",
	"bridge without IPv6":                "echo 1 > /proc/sys/net/ipv6/conf/cni0/disable_ipv6",
	"port off the bridge, of a server":   "ip link set $(veth one) nomaster",
	"port off the bridge, of a client":   "ip link set $(veth two) nomaster",
	"port on another bridge":             "ip link set $(veth two) master cni4",
	"port down":                          "ip link set $(veth one) down",
	"port without hairpin":               "bridge link set dev $(veth one) hairpin off",
	"interface down":                     "ip -n two link set eth0 down",
	"interface of another MTU":           "ip -n two link set eth0 mtu 1400",
	"container without its address":      "ip -n two addr del 10.1.0.3/24 dev eth0",
	"container without all addresses":    "ip -n one addr flush dev eth0 scope global",
	"container with another address":     "ip -n two addr del 10.1.0.3/24 dev eth0; ip -n two addr add 10.1.0.9/24 dev eth0; ip -n two route add default via 10.1.0.1",
	"container without a default route":  "ip -n two route del default",
	"container without routes":           "ip -n four route flush table main",
	"container's way to another gateway": "ip -n two route replace default via 10.1.0.2",
	"container's reservation removed":    "rm /var/lib/cni/networks/net/10.1.0.3",
	"ruleset flushed":                    "nft flush ruleset",
	"table flushed":                      "nft flush table inet trestle",
	"table deleted":                      "nft delete table inet trestle",
	"chain of masquerade flushed":        "nft flush chain inet trestle postrouting",
	"chain of ports flushed":             "nft flush chain inet trestle hostports",
	"chain of the guard flushed":         "nft flush chain inet trestle guard",
	"set of masquerade flushed":          "nft flush set inet trestle masq4",
	"map of ports flushed":               "nft flush map inet trestle dnat4",
	"uplink down":                        "ip link set uplink down",
	"uplink without a carrier":           "ip -n outside link set eth0 down",
	"host without a default route":       "ip route del default",
	"host with a default blackhole":      "ip route replace blackhole default",
	"rule with a blackhole":              "ip rule add from 10.1.0.0/24 blackhole",
	"rule that prohibits a container":    "ip rule add to 10.1.0.3 prohibit",
	"route to a container unreachable":   "ip route add unreachable 10.1.0.2/32",
	"neighbour of the host wrong":        "ip neigh replace 10.1.0.2 lladdr 02:00:00:00:00:01 dev cni0 nud permanent",
	"neighbour of a container wrong":     "ip -n two neigh replace 10.1.0.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent",
	"neighbour of another container":     "ip -n two neigh replace 10.1.0.2 lladdr 02:00:00:00:00:01 dev eth0 nud permanent",
	"rule with a blackhole for all":      "ip rule add pref 100 blackhole",
	"rule with a blackhole for a bridge": "ip rule add pref 100 iif cni0 blackhole",
	"rule with a blackhole, too late":    "ip rule add pref 40000 from 10.1.0.0/24 blackhole",
	"container drops what it sends":      inside("two", "output", "drop"),
	"container rejects what it sends":    "ip netns exec two iptables-nft -A OUTPUT -d 203.0.113.0/24 -j REJECT",
	"container drops what is answered":   inside("two", "input", "drop"),
	"container drops before all":         inside("two", "prerouting", "ct state established drop"),
	"container drops on its way out":     inside("two", "postrouting", "meta oifname eth0 drop"),
	"container drops by its policy":      "ip netns exec two iptables-legacy -P OUTPUT DROP",
	"server drops its port":              "ip netns exec one iptables-legacy -A INPUT -p tcp --dport 80 -j DROP",
	"server drops its answers":           inside("one", "output", "tcp sport 80 drop"),
	"server drops another port":          inside("one", "input", "tcp dport 81 drop"),
	"container drops what comes anew":    inside("two", "input", "ct state new drop"),
	"container with a blackhole":         "ip -n two rule add pref 5 blackhole",
	"container's address prohibited":     "ip -n two rule add pref 5 from 10.1.0.3 prohibit",
	"container's rule, too late":         "ip -n two rule add pref 40000 unreachable",
	"forwarding off":                     "echo 0 > /proc/sys/net/ipv4/ip_forward",
	"policy of forward drop":             "iptables-nft -P FORWARD DROP",
	"a rule of a firewall":               "iptables-nft -A FORWARD -s 10.1.0.0/24 -j REJECT",
	"port taken by another's rule":       "nft 'add table ip x; add chain ip x c { type nat hook prerouting priority -110; }; add rule ip x c tcp dport 8080 dnat to 10.4.0.2:80'",
}

// inside makes a rule at a hook in a container's own namespace.
func inside(container, hook, rule string) string {
	return fmt.Sprintf("ip netns exec %s nft 'add table inet x; add chain inet x c { type filter hook %s priority 0; }; add rule inet x c %s'", container, hook, rule)
}

// flows are who asks whom: near by, out, from the host, and in by a published port.
var flows = [][2]string{{"two", "10.1.0.2:80"}, {"two", "203.0.113.9:80"}, {"four", "192.0.2.2:80"}, {"host", "10.1.0.2:80"}, {"outside", "192.0.2.1:8080"}}

// TestOperatorsDay plants one fault at a time. Of each flow, trace says what becomes of it; of each attachment, ls says what CHECK says; and
// doctor has something to say where something is lost, or not as it was made, and no more than a warning where not.
func TestOperatorsDay(t *testing.T) {
	for name, plant := range day {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				standing(t)
				shell(t, "ip -n outside addr add 203.0.113.9/32 dev lo; "+veth+plant)
				wrong := traffic(t, flows)
				wrong = checks(t) || wrong
				found := (planted{}).examined(t)
				if wrong && len(found) == 0 || !wrong && doctor.Status(found) > 1 {
					t.Errorf("something is wrong: %v, and doctor says %+v", wrong, found)
				}
			})
		})
	}
}

// silence is how long is waited to see that nobody answers: a packet that was lost is sent again after a second.
const silence = 2 * time.Second

// traffic lets everybody ask, and holds trace's status against who is answered. It says whether somebody was not. Who is to be answered, as trace has it, has the time
// that a busy machine takes.
func traffic(t *testing.T, flows [][2]string) (lost bool) {
	t.Helper()
	errs := make([]error, len(flows))
	var all sync.WaitGroup
	for i, flow := range flows {
		all.Go(func() { errs[i] = arrives(flow, silence) })
	}
	all.Wait()
	for i, flow := range flows {
		out, err := exec.Command(filepath.Join(os.Getenv(pluginsVar), "trestle"), "trace", flow[0], flow[1]).CombinedOutput()
		got := exitOf(err)
		if got == 0 && errs[i] != nil {
			errs[i] = arrives(flow, soon())
		}
		if want := map[bool]int{true: 0, false: 1}[errs[i] == nil]; got != want {
			t.Errorf("%v: trace's status is %d, and the answer was %v\n%s", flow, got, errs[i], out)
		}
		lost = lost || errs[i] != nil
	}
	return lost
}

// arrives has the first of the flow ask, and returns nil where it is answered.
func arrives(flow [2]string, patience time.Duration) error {
	return in(flow[0], func() error {
		_, err := peer.Ask("tcp", flow[1], patience)
		return err
	})
}

func exitOf(err error) int {
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return map[bool]int{true: 0, false: -1}[err == nil]
}

// checks holds what ls calls whole against CHECK, by a runtime of its own. It says whether anything is not.
func checks(t *testing.T) (drifted bool) {
	t.Helper()
	out, err := exec.Command(filepath.Join(os.Getenv(pluginsVar), "trestle"), "ls", "--json").Output()
	must(t, err)
	var reply struct{ Attachments []observe.Attachment }
	must(t, json.Unmarshal(out, &reply))
	if len(reply.Attachments) != 4 {
		t.Errorf("%d attachments, want four\n%s", len(reply.Attachments), out)
	}
	for _, a := range reply.Attachments {
		cmd := exec.Command(filepath.Join(os.Getenv(toolsVar), "cnitool"), "check", a.Network, a.Netns)
		cmd.Env = append(os.Environ(), "CNI_PATH=/run/bin", "NETCONFPATH=/run/net.d")
		if strings.HasSuffix(a.Netns, "/one") {
			cmd.Env = append(cmd.Env, `CAP_ARGS={"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}`)
		}
		said, err := cmd.CombinedOutput()
		want := map[bool]observe.State{true: observe.Whole, false: observe.Broken}[err == nil]
		if a.State != want {
			t.Errorf("%s (%s): ls says %s %v, and CHECK %v %s", a.ID, a.Netns, a.State, a.Why, err, said)
		}
		drifted = drifted || err != nil
	}
	return drifted
}

// Who is nobody on this host sees little of it, and is told so: nothing is judged by what was not seen.
func TestDayOfAUser(t *testing.T) {
	t.Parallel()
	nstest.Run(t, func(t *testing.T) {
		standing(t)
		user := func(args ...string) ([]byte, error) {
			cmd := exec.Command(filepath.Join(os.Getenv(pluginsVar), "trestle"), args...)
			cmd.SysProcAttr = nobody()
			return cmd.Output()
		}
		out, err := user("ls", "--json")
		must(t, err)
		var reply struct{ Attachments []observe.Attachment }
		must(t, json.Unmarshal(out, &reply))
		for _, a := range reply.Attachments {
			if a.State == observe.Broken || a.State == observe.Leaked {
				t.Errorf("%s: %s %v", a.ID, a.State, a.Why)
			}
		}
		for _, flow := range flows[:1] {
			if out, err := user("trace", flow[0], flow[1]); exitOf(err) != 2 {
				t.Errorf("%v: %v, want status 2\n%s", flow, err, out)
			}
		}
		for _, f := range (planted{user: true}).examined(t) {
			if f.ID != "unseen" {
				t.Errorf("found %s: %s", f.ID, f.What)
			}
		}
	})
}
