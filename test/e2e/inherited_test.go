package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/test/nstest"
)

// inherited is a container that the reference attached and published ports of, and that we look after.
type inherited struct {
	*testing.T
	bridge, portmap string // configurations, each with the result of the ADD
}

// leaves attaches a container by the suite. Of its ports and its masquerade we are told by the configurations, further keys of which may be given.
func (s suite) leaves(t *testing.T, keys, portmap, mappings string) *inherited {
	nstest.Namespace(t, "c1")
	must(t, in("c1", func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(lo)
	}))
	bridge := network(`"cniVersion": "1.0.0", "isDefaultGateway": true, ` + keys + hostLocal(families["both"]))
	result := string(s.call(t, "ADD", "bridge", "c1", bridge))
	ports := `{"cniVersion": "1.0.0", "name": "net", "type": "portmap", ` + portmap + `"runtimeConfig": {"portMappings": [` + mappings + `]}, "prevResult": ` + result + `}`
	return &inherited{t, strings.TrimSuffix(bridge, "}") + `, "prevResult": ` + result + `}`, ports}
}

// check returns what our CHECK of both plugins says; empty for nothing. An error that is no drift fails the test.
func (a *inherited) check() (text string) {
	a.Helper()
	for plugin, config := range map[string]string{"bridge": a.bridge, "portmap": a.portmap} {
		got, err := invoke("CHECK", plugin, "c1", config, "PATH="+os.Getenv(pathVar)+":/usr/sbin")
		must(a.T, err)
		if got.Status != 0 && got.Code != fault.Drift {
			a.Errorf("CHECK of %s: code %d: %s", plugin, got.Code, got.Msg)
		}
		text += got.Msg
	}
	return text
}

func (a *inherited) silent(when string) {
	a.Helper()
	if text := a.check(); text != "" {
		a.Errorf("%s: CHECK says %s", when, text)
	}
}

// names wants CHECK to name what is gone.
func (a *inherited) names(gone string, words ...string) {
	a.Helper()
	text := a.check()
	for _, word := range words {
		if !strings.Contains(text, word) {
			a.Errorf("without %q: CHECK says %q, want %q in it", gone, text, word)
		}
	}
}

// sh runs a line of the shell, with iptables and nft in the PATH.
func sh(t *testing.T, line, input string) string {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", line)
	cmd.Env = []string{"PATH=" + os.Getenv(pathVar) + ":/usr/sbin"}
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v: %s", line, err, out)
	}
	return string(out)
}

// TestCheckOfIptables wants CHECK to be content with what the reference made by iptables, and to name the rule, by its chain, when one is gone: each that
// is the container's, or leads to those.
func TestCheckOfIptables(t *testing.T) {
	for _, s := range suites() {
		for way, keys := range manners {
			t.Run(filepath.Base(s.dir)+"/"+way, func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) {
					a := s.leaves(t, `"ipMasq": true, "macspoofchk": true, `, keys, asks["in order"]+", "+asks["other family"])
					s.call(t, "ADD", "portmap", "c1", a.portmap)
					a.silent("as it was made")
					a.portmap = `{"backend": "iptables", ` + a.portmap[1:]
					a.bridge = `{"ipMasqBackend": "iptables", ` + a.bridge[1:]
					a.silent("as it was made, with the backend named")
					for _, program := range []string{"iptables", "ip6tables"} {
						whole := sh(t, program+"-save -t nat", "")
						for rule := range strings.Lines(whole) {
							spec, is := strings.CutPrefix(strings.TrimSpace(rule), "-A ")
							if !is {
								continue
							}
							sh(t, program+" -t nat -D "+spec, "")
							a.names(rule, strings.Fields(spec)[0])
							sh(t, program+"-restore", whole)
						}
					}
					a.silent("all put back")
					sh(t, "nft flush chain bridge nat cni-br-iface-c1-eth0-mac", "")
					a.names("macspoofchk", "ether saddr", "drop")
				})
			})
		}
	}
}

// TestCheckOfTheirNftables wants CHECK to be content with what the suites that have such backends make by nftables, and our DEL to leave none of it.
func TestCheckOfTheirNftables(t *testing.T) {
	t.Parallel()
	for _, s := range suites() {
		for _, keys := range []string{``, `"masqAll": true, `, `"snat": false, `} {
			if !s.nft {
				break
			}
			nstest.Run(t, func(t *testing.T) {
				a := s.leaves(t, `"ipMasq": true, "ipMasqBackend": "nftables", "macspoofchk": true, `, `"backend": "nftables", `+keys, asks["in order"])
				s.call(t, "ADD", "portmap", "c1", a.portmap)
				a.silent("as it was made")
				succeed(t, "DEL", "portmap", "c1", a.portmap)
				succeed(t, "DEL", "bridge", "c1", a.bridge)
				for word := range strings.FieldsSeq(sh(t, "nft list ruleset", "")) {
					if strings.Contains(word, "c1") || strings.Contains(word, "10.1.0.2") {
						t.Errorf("left of what the reference made: %s", word)
					}
				}
			})
		}
	}
}

// What nft(8) lists of the reference's rules, since 1.6: of masquerade; of ports, of which one is of one address; and of older versions, of which that had
// a chain of its own; and the three ways in which it masqueraded the clients of ports.
const (
	masqueraded = `
table inet cni_plugins_masquerade {
 chain masq_checks {
  ip saddr 10.1.0.2 ip daddr != 10.1.0.0/24 masquerade comment "%s, net: net, if: eth0, id: c1"
  ip6 saddr fd00:1::2 ip6 daddr != fd00:1::/64 masquerade comment "%[1]s, net: net, if: eth0, id: c1"
 }
 chain postrouting {
  type nat hook postrouting priority 100
  ip daddr 224.0.0.0/4 return
  ip6 daddr ff00::/8 return
  goto masq_checks
 }
}`
	publishedPorts = `
table ip cni_hostport {
 chain hostports {
  tcp dport 8082 dnat to 10.1.0.2:82 comment "c1"
  ip daddr 192.0.2.1 tcp dport 8081 dnat to 10.1.0.2:81 comment "c1"
  udp dport 8080 dnat to 10.1.0.2:80 comment "c1"
 }
 chain hostip_hostports {
 }`
	olderPorts = `
table ip cni_hostport {
 chain hostports {
  tcp dport 8082 dnat to 10.1.0.2:82 comment "c1"
  udp dport 8080 dnat to 10.1.0.2:80 comment "c1"
 }
 chain hostip_hostports {
  ip daddr 192.0.2.1 tcp dport 8081 dnat to 10.1.0.2:81 comment "c1"
 }`
	ledToPorts = `
 chain hostports_all {
  jump hostip_hostports
  jump hostports
 }
 chain prerouting {
  type nat hook prerouting priority -100
  %s fib daddr type local jump hostports_all
 }
 chain output {
  type nat hook output priority -100
  %[1]s fib daddr type local jump hostports_all
 }`
	hairpin4 = `
 chain masquerading {
  type nat hook postrouting priority 100
  ip saddr 10.1.0.2 ip daddr 10.1.0.2 masquerade comment "c1"
  ip saddr 127.0.0.1 ip daddr 10.1.0.2 masquerade comment "c1"
 }
}`
	everybody4 = `
 chain masquerading {
  type nat hook postrouting priority 100
  ip saddr 0.0.0.0/0 ip daddr 10.1.0.2 masquerade comment "c1"
 }
}`
	published6 = `
table ip6 cni_hostport {
 chain hostports {
  tcp dport 8082 dnat to [fd00:1::2]:82 comment "c1"
  udp dport 8080 dnat to [fd00:1::2]:80 comment "c1"
 }`
	hairpin6 = `
 chain masquerading {
  type nat hook postrouting priority 100
  ip6 saddr fd00:1::2 ip6 daddr fd00:1::2 masquerade comment "c1"
 }
}`
	everybody6 = `
 chain masquerading {
  type nat hook postrouting priority 100
  ip6 saddr ::/0 ip6 daddr fd00:1::2 masquerade comment "c1"
 }
}`
)

// TestCheckOfNftables wants the same of what the reference makes by nftables, in the forms that it has had: each rule is left out once.
func TestCheckOfNftables(t *testing.T) {
	const mappings = `{"hostPort": 8082, "containerPort": 82, "protocol": "tcp"}, {"hostPort": 8081, "containerPort": 81, "protocol": "tcp", "hostIP": "192.0.2.1"},
		{"hostPort": 8080, "containerPort": 80, "protocol": "udp"}`
	six := func(last string) string {
		return published6 + "\n chain hostip_hostports {\n }" + fmt.Sprintf(ledToPorts, "") + last
	}
	led := fmt.Sprintf(ledToPorts, "")
	for form, c := range map[string]struct{ keys, rules string }{
		"1.10":              {``, publishedPorts + led + hairpin4 + six(hairpin6)},
		"1.6":               {``, olderPorts + led + hairpin4 + six(hairpin6)},
		"masqAll, 1.10":     {`"masqAll": true, `, publishedPorts + led + everybody4 + six(everybody6)},
		"masqAll, 1.9":      {`"masqAll": true, `, publishedPorts + led + hairpin4 + six(hairpin6)},
		"no snat":           {`"snat": false, `, publishedPorts + led + "\n}" + six("\n}")},
		"conditions":        {`"conditionsV4": ["ip", "saddr", "!=", "10.9.0.0/16"], `, publishedPorts + fmt.Sprintf(ledToPorts, "ip saddr != 10.9.0.0/16") + hairpin4 + six(hairpin6)},
		"others conditions": {``, publishedPorts + fmt.Sprintf(ledToPorts, "ip saddr != 10.9.0.0/16") + hairpin4 + six(hairpin6)},
	} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			nstest.Run(t, func(t *testing.T) {
				a := suites()[0].leaves(t, "", c.keys, mappings)
				if !strings.Contains(c.keys, `"snat": false`) {
					must(t, os.WriteFile("/proc/sys/net/ipv4/conf/cni0/route_localnet", []byte("1"), 0o644))
				}
				a.bridge = `{"ipMasq": true, ` + a.bridge[1:]
				lines := strings.SplitAfter(fmt.Sprintf(masqueraded, masqueradeMark)+c.rules+"\n", "\n")
				plant := func(lines []string) { sh(t, "nft flush ruleset; nft -f -", strings.Join(lines, "")) }
				plant(lines)
				a.silent("as it was made")
				for i, line := range lines {
					rule := strings.TrimSpace(line)
					if !strings.HasPrefix(line, "  ") || strings.HasPrefix(rule, "type") || unused(lines, i) {
						continue
					}
					plant(append(lines[:i:i], lines[i+1:]...))
					what, _, _ := strings.Cut(rule, " comment")
					what = what[max(0, strings.Index(what, "fib ")):]                 // conditions may be others'
					if what == "ip6 saddr fd00:1::2 ip6 daddr fd00:1::2 masquerade" { // with masqAll, it is not the only form
						what = "ip6 cni_hostport masquerading"
					}
					a.names(rule, what)
				}
			})
		})
	}
}

// masqueradeMark begins the comment of the reference's rules for eth0 of c1 on the network net (SHA-512 of "net", and of "eth0:c1").
const masqueradeMark = "a4861f4ae9f7d238-f4d01f2ef4b92245"

// unused says whether the line leads to a chain without rules: that of ports of one address in IPv6, or in newer versions.
func unused(lines []string, i int) bool {
	rest := strings.Join(lines[i:], "")
	return strings.Contains(lines[i], "jump hostip_hostports") &&
		(!strings.Contains(rest, "table ip6") || !strings.Contains(strings.Join(lines, ""), "hostip_hostports {\n  "))
}
