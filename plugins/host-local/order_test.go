package hostlocal

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// steps runs a script of "+id", an ADD, and "-id", a DEL, and returns what each ADD was given.
func steps(t *testing.T, config, script string) []string {
	t.Helper()
	dir := t.TempDir()
	var got []string
	for word := range strings.FieldsSeq(script) {
		c := call{command: "ADD", id: word[1:], config: config, dir: dir}
		id, args, _ := strings.Cut(word[1:], "@")
		if c.id = id; args != "" {
			c.args = "IP=" + args
		}
		if word[0] == '-' {
			c.command = "DEL"
		}
		a := c.run(t)
		if word[0] == '+' || a.status != 0 {
			got = append(got, a.addrs(t))
		}
	}
	return got
}

// The order is round robin, as in the reference.
func TestOrder(t *testing.T) {
	for _, c := range []struct {
		name, ipam, script string
		want               []string
	}{
		{"slash 29", `"subnet": "10.1.0.0/29"`, "+a +b +c -a +d +e +f +g",
			[]string{"10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6", "10.1.0.2",
				"range set 10.1.0.1-10.1.0.6: no address is free"}},
		{"slash 30", `"subnet": "10.1.0.0/30"`, "+a -a +b +c", []string{"10.1.0.2", "10.1.0.2", "range set 10.1.0.1-10.1.0.2: no address is free"}},
		{"slash 126", `"subnet": "fd00::/126"`, "+a +b +c",
			[]string{"fd00::2", "fd00::3", "range set fd00::1-fd00::3: no address is free"}},
		{"gateway elsewhere", `"subnet": "10.1.0.0/29", "gateway": "10.1.0.3"`, "+a +b +c", []string{"10.1.0.1", "10.1.0.2", "10.1.0.4"}},
		{"network and broadcast when asked for", `"subnet": "10.1.0.0/30", "rangeStart": "10.1.0.0", "rangeEnd": "10.1.0.3"`,
			"+a +b +c", []string{"10.1.0.0", "10.1.0.2", "10.1.0.3"}},
		{"two ranges", `"ranges": [[{"subnet": "10.1.0.0/30"}, {"subnet": "10.2.0.0/30"}]]`, "+a +b -a +c +d",
			[]string{"10.1.0.2", "10.2.0.2", "10.1.0.2", "range set 10.1.0.1-10.1.0.2,10.2.0.1-10.2.0.2: no address is free"}},
		{"dual stack", `"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]]`, "+a +b", []string{"10.1.0.2 fd00::2", "10.1.0.3 fd00::3"}},
		{"old form first", `"ranges": [[{"subnet": "10.2.0.0/24"}]], "subnet": "10.1.0.0/24"`, "+a", []string{"10.1.0.2 10.2.0.2"}},
		{"requested moves the round", `"subnet": "10.1.0.0/24"`, "+a@10.1.0.9 +b +c@10.1.0.4/24 +d",
			[]string{"10.1.0.9", "10.1.0.10", "10.1.0.4", "10.1.0.5"}},
		{"end of the address space", `"subnet": "255.255.255.252/30", "rangeEnd": "255.255.255.255"`, "+a +b +c",
			[]string{"255.255.255.254", "255.255.255.255", "range set 255.255.255.253-255.255.255.255: no address is free"}},
	} {
		got := steps(t, network("1.1.0", c.ipam), c.script)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// An ADD that cannot be is an error that names the set and who is in the way, and changes nothing.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name, ipam string
		second     call
		code       uint
		message    string
	}{
		{"second ADD", `"subnet": "10.1.0.0/24"`, call{}, 100, "ctr1/eth0: holds 10.1.0.2 already"},
		{"second ADD with a request", `"subnet": "10.1.0.0/24"`, call{args: "IP=10.1.0.7"}, 100, "ctr1/eth0: holds 10.1.0.2 already"},
		{"taken", `"subnet": "10.1.0.0/24"`, call{id: "ctr2", args: "IP=10.1.0.2"}, 100,
			"range set 10.1.0.1-10.1.0.254: 10.1.0.2: held by ctr1/eth0"},
		{"gateway", `"subnet": "10.1.0.0/24"`, call{id: "ctr2", args: "IP=10.1.0.1"}, 100, "range set 10.1.0.1-10.1.0.254: 10.1.0.1: it is the gateway"},
		{"outside", `"subnet": "10.1.0.0/24"`, call{id: "ctr2", args: "IP=10.2.0.1"}, 7,
			"requested addresses: 10.2.0.1: in no range set of 10.1.0.1-10.1.0.254 that has one to give"},
		{"second set full", `"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.2.0.0/30"}]]`, call{id: "ctr2"}, 101,
			"range set 10.2.0.1-10.2.0.2: no address is free"},
		{"no resolv.conf", `"subnet": "10.1.0.0/24", "resolvConf": "/nowhere"`, call{}, 7, "ipam.resolvConf: open /nowhere: no such file or directory"},
	} {
		dir := t.TempDir()
		if c.name != "no resolv.conf" {
			call{command: "ADD", config: network("1.1.0", c.ipam), dir: dir}.run(t)
		}
		before := tree(t, dir)
		delete(before, "/net/last_reserved_ip.0") // the round may go on
		c.second.command, c.second.config, c.second.dir = "ADD", network("1.1.0", c.ipam), dir
		a := c.second.run(t)
		if a.code(t) != c.code || a.addrs(t) != c.message {
			t.Errorf("%s: code %d %q, want %d %q", c.name, a.code(t), a.addrs(t), c.code, c.message)
		}
		after := tree(t, dir)
		delete(after, "/net/last_reserved_ip.0")
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%s: the directory changed:\n%s", c.name, diff)
		}
	}
}
