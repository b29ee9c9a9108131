package reference

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/kernel/nftconn"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/nstest"
)

// rules are what the reference, version 1.9.1, leaves for two containers on one network, and for one of them on another.
const rules = `
table inet cni_plugins_masquerade {
	chain masq_checks {
		ip saddr 10.22.0.2 ip daddr != 10.22.0.0/24 masquerade comment "c5964c6794a1152e-7883a6f9ce71eedb, net: testnet, if: eth0, id: ctr1"
		ip6 saddr fd00:22::2 ip6 daddr != fd00:22::/64 masquerade comment "c5964c6794a1152e-7883a6f9ce71eedb, net: testnet, if: eth0, id: ctr1"
		ip saddr 10.22.0.3 ip daddr != 10.22.0.0/24 masquerade comment "c5964c6794a1152e-a09553539d4cc24c, net: testnet, if: eth0, id: ctr2"
	}
	chain postrouting {
		type nat hook postrouting priority 100;
		ip daddr 224.0.0.0/4 return
		ip6 daddr ff00::/8 return
		goto masq_checks
	}
}
table ip cni_hostport {
	chain hostports {
		tcp dport 8080 dnat to 10.22.0.2:80 comment "ctr1"
		ip daddr 127.0.0.1 udp dport 8053 dnat to 10.22.0.2:53 comment "ctr1"
		tcp dport 8081 dnat to 10.99.0.2:81 comment "ctr1"
		sctp dport 8082 dnat to 10.22.0.3:82 comment "ctr2"
	}
	chain hostip_hostports {
		ip daddr 192.0.2.1 tcp dport 8083 dnat to 10.22.0.2:83 comment "ctr1"
	}
	chain masquerading {
		type nat hook postrouting priority 100;
		ip saddr 10.22.0.2 ip daddr 10.22.0.2 masquerade comment "ctr1"
		ip saddr 127.0.0.1 ip daddr 10.22.0.2 masquerade comment "ctr1"
		ip saddr 10.22.0.3 ip daddr 10.22.0.3 masquerade comment "ctr2"
	}
}
table ip6 cni_hostport {
	chain hostports {
		tcp dport 8080 dnat to [fd00:22::2]:80 comment "ctr1"
	}
}
table bridge nat {
	chain PREROUTING {
		type filter hook prerouting priority -300;
		iifname "veth1" jump cni-br-iface-ctr1-eth0 comment "macspoofchk-ctr1-eth0"
		iifname "veth2" jump cni-br-iface-ctr2-eth0 comment "macspoofchk-ctr2-eth0"
	}
	chain cni-br-iface-ctr1-eth0 {
		jump cni-br-iface-ctr1-eth0-mac comment "macspoofchk-ctr1-eth0"
	}
	chain cni-br-iface-ctr1-eth0-mac {
		ether saddr c2:ce:e1:ef:96:66 return comment "macspoofchk-ctr1-eth0"
		drop comment "macspoofchk-ctr1-eth0"
	}
	chain cni-br-iface-ctr2-eth0 {
		jump cni-br-iface-ctr2-eth0-mac comment "macspoofchk-ctr2-eth0"
	}
	chain cni-br-iface-ctr2-eth0-mac {
		drop comment "macspoofchk-ctr2-eth0"
	}
}
`

// plant puts the rules into the kernel, with the chain declared before what jumps to it, as nft wants it.
func plant(t testing.TB) {
	t.Helper()
	declared := "add table bridge nat\n"
	for _, chain := range []string{"ctr1-eth0", "ctr1-eth0-mac", "ctr2-eth0", "ctr2-eth0-mac"} {
		declared += "add chain bridge nat cni-br-iface-" + chain + "\n"
	}
	nstest.Program(t, declared+rules, "nft", "-f", "-")
}

// left returns the lines of the ruleset that have one of the words.
func left(t testing.TB, words ...string) (lines []string) {
	t.Helper()
	for line := range strings.Lines(nstest.Program(t, "", "nft", "list", "ruleset")) {
		if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(line, w) }) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func ctr1() owner.Owner { return owner.Of("testnet", "ctr1", "eth0") }

// connect is a connection a call. They end with the process, which is one a test.
func connect() (*nftconn.Conn, error) { return nftconn.Open() }

// TestRemove wants all of one attachment gone, and nothing of another.
func TestRemove(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		plant(t)
		ctx := t.Context()
		for range 2 {
			must(t, Remove(ctx, connect, ctr1(), firewall.Claim{Role: firewall.Masquerade}))
			must(t, Remove(ctx, connect, ctr1(), firewall.Claim{Role: firewall.Antispoof}))
			target := netip.MustParseAddrPort("10.22.0.2:80")
			must(t, Remove(ctx, connect, ctr1(), firewall.Claim{Role: firewall.Publish, Ports: []firewall.Port{{Target: target}}}))
		}
		want := []string{
			`tcp dport 8081 dnat to 10.99.0.2:81 comment "ctr1"`, // its other network's
			`tcp dport 8080 dnat to [fd00:22::2]:80 comment "ctr1"`,
		}
		if diff := cmp.Diff(want, left(t, "ctr1")); diff != "" {
			t.Errorf("of the attachment is left (-want +got):\n%s", diff)
		}
		must(t, Remove(ctx, connect, ctr1(), firewall.Claim{Role: firewall.Publish}))
		if lines := left(t, "ctr1"); len(lines) > 0 {
			t.Errorf("left where no address is known: %v", lines)
		}
		if lines := left(t, "ctr2"); len(lines) != 8 {
			t.Errorf("of the other container is left: %d lines:\n%s", len(lines), strings.Join(lines, "\n"))
		}
	})
}

// TestUntouched wants nothing to be made where nothing is, and nothing removed for an owner of whom only a tag is known.
func TestUntouched(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		for _, role := range []firewall.Role{firewall.Masquerade, firewall.Publish, firewall.Antispoof} {
			must(t, Remove(t.Context(), connect, ctr1(), firewall.Claim{Role: role}))
		}
		ports, err := Ports(connect)
		if out := left(t, "table"); err != nil || len(ports) > 0 || len(out) > 0 {
			t.Errorf("on a virgin host: ports %v, %v, tables %v", ports, err, out)
		}
		plant(t)
		before := left(t, "")
		cut, ok := owner.Parse(ctr1().Tag(owner.MinRoom + 3))
		if !ok {
			t.Fatal("the tag does not read")
		}
		must(t, Remove(t.Context(), connect, cut, firewall.Claim{Role: firewall.Publish}))
		if diff := cmp.Diff(before, left(t, "")); diff != "" {
			t.Errorf("removed (-before +after):\n%s", diff)
		}
	})
}

func TestPorts(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		plant(t)
		ports, err := Ports(connect)
		must(t, err)
		var got []string
		for _, p := range ports {
			got = append(got, fmt.Sprintf("%d %s %d %s %s", p.Protocol, p.HostIP, p.HostPort, p.Target, p.Container))
		}
		slices.Sort(got)
		want := []string{
			"132 invalid IP 8082 10.22.0.3:82 ctr2", "17 127.0.0.1 8053 10.22.0.2:53 ctr1", "6 192.0.2.1 8083 10.22.0.2:83 ctr1",
			"6 invalid IP 8080 10.22.0.2:80 ctr1", "6 invalid IP 8080 [fd00:22::2]:80 ctr1", "6 invalid IP 8081 10.99.0.2:81 ctr1",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ports (-want +got):\n%s", diff)
		}
	})
}

// TestMACSpoofCheck removes what the reference's bridge made, version 1.1.1 as Debian 12 has it.
func TestMACSpoofCheck(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		cmd := exec.Command("/usr/lib/cni/bridge")
		cmd.Env = append(os.Environ(), "CNI_COMMAND=ADD", "CNI_CONTAINERID=ctr1", "CNI_IFNAME=eth0", "CNI_NETNS="+nstest.Namespace(t, "c1"), "CNI_PATH=/usr/lib/cni")
		cmd.Stdin = strings.NewReader(`{"name": "testnet", "cniVersion": "1.0.0", "type": "bridge", "bridge": "br0", "macspoofchk": true}`)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("ADD: %v\n%s", err, out)
		}
		if lines := left(t, "ctr1"); len(lines) != 6 {
			t.Fatalf("the reference left %v", lines)
		}
		must(t, Remove(t.Context(), connect, ctr1(), firewall.Claim{Role: firewall.Antispoof}))
		if lines := left(t, "ctr1"); len(lines) > 0 {
			t.Errorf("left: %v", lines)
		}
	})
}

var must = nstest.Must
