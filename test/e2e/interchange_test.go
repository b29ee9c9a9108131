package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/reference"
)

// suite is a build of the reference, in a folder.
type suite struct {
	dir string
	// blind is of versions whose portmap looks in IPv6 for the rules of IPv4 on CHECK (1.1.1 does), so that it fails with its own.
	blind bool
	nft   bool // it has the backends of nftables, as from 1.6
}

// suites are the builds that a node's containers may be of, before and after us.
func suites() []suite {
	return []suite{{dir: reference.Debian.Dir, blind: true}, {dir: reference.Newest.Dir}}
}

// call calls a plugin of the suite, and fails the test where the plugin fails.
func (s suite) call(t *testing.T, verb, plugin, container, config string) []byte {
	t.Helper()
	cmd := exec.Command(filepath.Join(s.dir, plugin))
	cmd.Env = []string{
		"CNI_COMMAND=" + verb, "CNI_CONTAINERID=" + container, "CNI_NETNS=" + netnsDir + container, "CNI_IFNAME=eth0",
		"CNI_PATH=" + s.dir, "PATH=" + os.Getenv(pathVar) + ":/usr/sbin", // it runs iptables and nft
	}
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout = strings.NewReader(config), &out
	if err := cmd.Run(); err != nil {
		t.Errorf("%s of %s/%s: %v: %s", verb, s.dir, plugin, err, out.String())
	}
	return out.Bytes()
}

// nat is the table nat of iptables, of both families.
func nat(t *testing.T) (text string) {
	t.Helper()
	for _, program := range []string{"/usr/sbin/iptables", "/usr/sbin/ip6tables"} {
		out, err := exec.Command(program, "-t", "nat", "-S").Output()
		must(t, err)
		text += "# " + filepath.Base(program) + "\n" + string(out)
	}
	return text
}

// asks are requests for ports, as runtimes have them.
var asks = map[string]string{
	"one":             `{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}`,
	"every address":   `{"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "0.0.0.0"}, {"hostPort": 8081, "containerPort": 80, "protocol": "udp", "hostIP": "0.0.0.0"}`,
	"in order":        `{"hostPort": 8082, "containerPort": 82, "protocol": "tcp"}, {"hostPort": 8081, "containerPort": 81, "protocol": "tcp", "hostIP": "192.0.2.1"}, {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}`,
	"specific first":  `{"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "192.0.2.1"}, {"hostPort": 8080, "containerPort": 81, "protocol": "tcp"}`,
	"other family":    `{"hostPort": 8081, "containerPort": 81, "protocol": "tcp"}, {"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "2001:db8::1"}`,
	"twice":           `{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}, {"hostPort": 8081, "containerPort": 80, "protocol": "tcp"}, {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}`,
	"twice, in words": `{"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": ""}, {"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "0.0.0.0"}`,
	"none":            ``,
	"elsewhere":       `{"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "2001:db8::1"}, {"hostPort": 53, "containerPort": 53, "protocol": "udp", "hostIP": "::"}`,
	"elsewhere, IPv4": `{"hostPort": 8080, "containerPort": 80, "protocol": "TCP", "hostIP": "192.0.2.1"}, {"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "127.0.0.1"}`,
	"protocols":       `{"hostPort": 9000, "containerPort": 80, "protocol": "udp"}, {"hostPort": 8080, "containerPort": 80, "protocol": "TCP"}, {"hostPort": 8079, "containerPort": 80, "protocol": "tcp"}, {"hostPort": 9001, "containerPort": 80, "protocol": "sctp"}`,
}

// manners are further keys of portmap.
var manners = map[string]string{
	"plain":      ``,
	"no snat":    `"snat": false, `,
	"mark":       `"markMasqBit": 5, `,
	"conditions": `"conditionsV4": ["!", "-s", "192.0.2.0/24"], "conditionsV6": ["!", "-s", "2001:db8:1::/64"], `,
}

// families are the containers' subnets.
var families = map[string]string{
	"IPv4": subnet,
	"IPv6": `{"subnet": "fd00:1::/64"}`,
	"both": subnet + `], [{"subnet": "fd00:1::/64"}`,
}

// TestPortsInterchange wants of every request that iptables lists the same, to the byte, after our ADD and after the reference's, that each suite's CHECK
// takes the other's rules for what was made, and that each one's DEL leaves nothing of the other's.
func TestPortsInterchange(t *testing.T) {
	for _, s := range suites() {
		for family, subnets := range families {
			t.Run(filepath.Base(s.dir)+"/"+family, func(t *testing.T) {
				t.Parallel()
				nstest.Run(t, func(t *testing.T) {
					nstest.Namespace(t, "c1")
					result := succeed(t, "ADD", "bridge", "c1", network(`"isDefaultGateway": true, `+hostLocal(subnets))).Out
					for ask, mappings := range asks {
						for way, keys := range manners {
							if way != "plain" && ask != "in order" && ask != "elsewhere" {
								continue
							}
							config := `{"cniVersion": "1.0.0", "name": "net", "type": "portmap", "backend": "iptables", ` + keys +
								`"runtimeConfig": {"portMappings": [` + mappings + `]}, "prevResult": ` + strings.Replace(string(result), "1.1.0", "1.0.0", 1) + `}`
							t.Run(ask+"/"+way, func(t *testing.T) { s.interchange(t, config) })
						}
					}
				})
			})
		}
	}
}

func (s suite) interchange(t *testing.T, config string) {
	iptables := "PATH=" + os.Getenv(pathVar) + ":/usr/sbin"
	s.call(t, "ADD", "portmap", "c1", config)
	theirs := nat(t)
	s.call(t, "DEL", "portmap", "c1", config)
	before := nat(t)
	succeed(t, "ADD", "portmap", "c1", config, iptables)
	if diff := cmp.Diff(theirs, nat(t)); diff != "" {
		t.Errorf("iptables -t nat -S (-reference +ours):\n%s", diff)
	}
	succeed(t, "CHECK", "portmap", "c1", config, iptables)
	if !s.blind {
		s.call(t, "CHECK", "portmap", "c1", config)
	}
	s.call(t, "DEL", "portmap", "c1", config)
	if diff := cmp.Diff(before, nat(t)); diff != "" {
		t.Errorf("left by the reference of what we made (-before +after):\n%s", diff)
	}
	succeed(t, "DEL", "portmap", "c1", config, iptables)
}
