package e2e

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"

	"github.com/trestle-cni/trestle/test/nstest"
)

// shutLater are ways in which an operator has FORWARD drop what he does not know, once containers are there.
var shutLater = map[string]string{
	"a policy":               "iptables -P FORWARD DROP; ip6tables -P FORWARD DROP",
	"to and fro":             "iptables -P FORWARD DROP; iptables -P FORWARD ACCEPT; iptables -P FORWARD DROP",
	"a rejection at last":    "iptables -A FORWARD -j REJECT",
	"a rejection first":      "iptables -I FORWARD -j REJECT",
	"a chain of Docker's":    "iptables -N DOCKER-USER; iptables -A DOCKER-USER -j RETURN; iptables -I FORWARD -j DOCKER-USER; iptables -P FORWARD DROP",
	"a ruleset":              `printf '*filter\n:FORWARD DROP [0:0]\n-A FORWARD -i lo -j ACCEPT\nCOMMIT\n' | iptables-restore`,
	"a ruleset, and no more": `nft 'flush ruleset; table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }'`,
}

// TestWatchForward sets iptables' FORWARD to drop while there is a watch: what containers may is open again by itself, to the outside and to a published port.
func TestWatchForward(t *testing.T) {
	for backend, list := range map[string]string{"nftables": few, "iptables": fewTabled} {
		for name, way := range shutLater {
			t.Run(backend+"/"+name, func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) {
					s := settleBy(t, list, 2, "udp")
					s.serve("c0", "udp", ":7")
					s.serve(outsider, "udp", ":7")
					w := s.watch()
					w.says("the plugins have looked")
					if list == fewTabled {
						w.says("knows what iptables has of ours")
					}
					shell(t, way)
					w.until("it is open", func(line string) bool {
						return containsAny(line, "made again", "the plugins have looked") &&
							s.hears(outsider, "udp", "192.0.2.1:20000", "c0") && s.hears("c1", "udp", "192.0.2.2:7", outsider)
					})
				})
			})
		}
	}
}

// TestForwardOfLegacy shuts iptables-legacy's FORWARD, of which the kernel tells nobody, once containers are there: a watch opens it as it begins, and while there is one the next
// ADD does, which STATUS promises.
func TestForwardOfLegacy(t *testing.T) {
	for _, way := range []string{"iptables-legacy -P FORWARD DROP", "iptables-legacy -A FORWARD -j REJECT"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				s := settleBy(t, few, 2, "udp")
				s.serve("c0", "udp", ":7")
				s.serve(outsider, "udp", ":7")
				open := func() bool {
					return s.hears(outsider, "udp", "192.0.2.1:20000", "c0") && s.hears("c1", "udp", "192.0.2.2:7", outsider)
				}
				shut := func(way string) {
					shell(t, way)
					waits := s.waits
					if s.waits = silence; open() {
						t.Errorf("%s: is open", way)
					}
					s.waits = waits
				}
				shut(way)
				w := s.watch()
				w.says("the plugins have looked")
				if !open() {
					t.Error("is shut where a watch has begun")
				}
				shut("iptables-legacy -F FORWARD; " + way)
				must(t, s.cni.GetStatusNetworkList(t.Context(), s.list))
				s.attach(2)
				if !open() {
					t.Error("is shut after an ADD")
				}
			})
		})
	}
}

// TestOperatorsChainLater has an operator fill a chain of his own, or empty FORWARD, while there is a watch, and while there is none but another network comes: he is asked.
func TestOperatorsChainLater(t *testing.T) {
	const fills, drops = "iptables -N MINE 2> /dev/null; iptables -A MINE -p udp --dport 81 -j DROP", "iptables -P FORWARD DROP"
	another := strings.NewReplacer(`"name": "net"`, `"name": "other"`, "br0", "br1", "10.1.0.", "10.2.0.", mine, "").Replace(fewOfMine)
	for name, c := range map[string]struct {
		before, later string
		watched       bool
	}{
		"filled":                          {drops, fills, true},
		"filled where nothing drops":      {"", fills, true},
		"emptied":                         {fills + "; " + drops, "iptables -F FORWARD", true},
		"no more asked":                   {fills + "; " + drops, "iptables -D FORWARD -m comment --comment 'trestle admin overrides' -j MINE", true},
		"emptied, and another comes":      {fills + "; " + drops, "iptables -F FORWARD", false},
		"emptied, and another, of legacy": {strings.ReplaceAll(fills+"; "+drops, "iptables", "iptables-legacy"), "iptables-legacy -F FORWARD", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				shell(t, c.before)
				s := settleBy(t, fewOfMine, 1, "udp")
				s.serve(outsider, "udp", ":80")
				s.serve(outsider, "udp", ":81")
				if c.watched {
					w := s.watch()
					w.says("the plugins have looked")
					shell(t, c.later)
					w.says("made again")
				} else {
					shell(t, c.later)
					list, err := libcni.ConfListFromBytes([]byte(another))
					must(t, err)
					s.list = list
					s.attach(1)
				}
				if !s.hears("c0", "udp", "192.0.2.2:80", outsider) {
					t.Error("c0 does not reach what nobody keeps it from")
				}
				if s.waits = silence; s.hears("c0", "udp", "192.0.2.2:81", outsider) {
					t.Error("c0 reaches what the operator's chain drops")
				}
			})
		})
	}
}

const mine = `, "iptablesAdminChainName": "MINE"`

var fewOfMine = strings.Replace(few, `{"type": "firewall"}`, `{"type": "firewall"`+mine+`}`, 1)

// TestForwardLater sets FORWARD to drop where there is no watch: CHECK and doctor tell, trace says of each flow what becomes of it, and what doctor offers opens it again.
func TestForwardLater(t *testing.T) {
	text, err := os.ReadFile("testdata/suite.sh")
	must(t, err)
	const policy = "iptables-nft -P FORWARD DROP\n"
	if !strings.Contains(string(text), policy) {
		t.Fatal("suite.sh has no policy")
	}
	for _, way := range []string{"iptables-nft -P FORWARD DROP", "iptables-nft -A FORWARD -j REJECT", "iptables-nft -I FORWARD -j DROP", "iptables-legacy -P FORWARD DROP"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				gone := []string{policy, ""}
				flows := [][2]string{{"web", "192.0.2.2:80"}, {"pair", "192.0.2.2:80"}, {"pair", "10.1.0.2:80"}, {"two", "192.0.2.2:80"}}
				if strings.Contains(way, "legacy") { // which the rules of iptables-nft do not open, as on the reference
					gone = append(gone, " older:old", "")
				} else {
					flows = append(flows, [2]string{"old", "192.0.2.2:80"})
				}
				shell(t, strings.NewReplacer(gone...).Replace(string(text)), os.Getenv(pluginsVar))
				s := &street{T: t, servers: make(map[string][]io.Closer)}
				for _, server := range []string{"outside", "web"} {
					s.serve(server, "tcp", ":80")
				}
				if traffic(t, flows) {
					t.Error("something is lost before")
				}
				shell(t, way+`; ! cnitool check shaped /run/netns/web 2> /dev/null`)
				if !traffic(t, flows) {
					t.Error("nothing is lost")
				}
				suiteFault{id: "drift"}.found(t)
				if traffic(t, flows) {
					t.Error("something is lost after it was made whole")
				}
			})
		})
	}
}
