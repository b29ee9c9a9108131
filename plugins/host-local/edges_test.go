package hostlocal

import (
	"strings"
	"testing"
)

// Since 1.10.0 the reference wants a gateway in its subnet, of every verb: the addresses of who was attached before can not be released any more. Here
// it is wanted where an address is to be given.
func TestGatewayOutside(t *testing.T) {
	for _, gateway := range []string{"10.9.0.1", "10.1.1.0", "0.0.0.0", "::", "fd00::1", "255.255.255.255"} {
		dir := t.TempDir()
		before, after := network("1.1.0", `"subnet": "10.1.0.0/24"`), network("1.1.0", `"subnet": "10.1.0.0/24", "gateway": "`+gateway+`", "routes": [{"dst": 5}]`)
		call{command: "ADD", config: before, dir: dir}.run(t)
		for command, want := range map[string]uint{"ADD": 7, "STATUS": 7, "CHECK": 0} {
			if a := (call{command: command, config: after, dir: dir}).run(t); a.code(t) != want {
				t.Errorf("%s with gateway %s: %s, want code %d", command, gateway, a.out, want)
			}
		}
		if a := (call{command: "GC", config: after, dir: dir}).run(t); a.status != 0 || len(reservations(t, dir)) != 1 {
			t.Errorf("GC without a list, with gateway %s: %s, left %v", gateway, a.out, reservations(t, dir))
		}
		if a := (call{command: "DEL", config: after, dir: dir}).run(t); a.status != 0 || len(reservations(t, dir)) != 0 {
			t.Errorf("DEL with gateway %s: %s, left %v", gateway, a.out, reservations(t, dir))
		}
	}
}

// Nothing wraps at the ends of a family, and a low address of IPv6 is none of IPv4.
func TestEndsOfTheFamilies(t *testing.T) {
	for ipam, want := range map[string]string{
		`"subnet": "255.255.255.252/30"`:                                                           "255.255.255.254 full",
		`"subnet": "255.255.255.252/30", "rangeEnd": "255.255.255.255"`:                            "255.255.255.254 255.255.255.255 full",
		`"subnet": "0.0.0.0/30", "rangeStart": "0.0.0.1"`:                                          "0.0.0.2 full",
		`"subnet": "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffc/126"`:                                  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff full",
		`"subnet": "::/126"`:                                                                       "::2 ::3 full",
		`"subnet": "::a01:0/126"`:                                                                  "::a01:2 ::a01:3 full",
		`"ranges": [[{"subnet": "255.255.255.252/30"}, {"subnet": "10.1.0.0/30"}]]`:                "255.255.255.254 10.1.0.2 full",
		`"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.255"`:                                      "refused",
		`"subnet": "::ffff:10.1.0.0/126"`:                                                          "10.1.0.2 full",
		`"subnet": "10.1.0.0/30", "rangeStart": "10.1.0.2", "rangeEnd": "10.1.0.2", "gateway": ""`: "10.1.0.2 full",
	} {
		var got []string
		for dir, id := t.TempDir(), "a"; ; id += "a" {
			a := call{command: "ADD", id: id, config: network("1.1.0", ipam), dir: dir}.run(t)
			if a.status != 0 {
				got = append(got, map[uint]string{7: "refused", 101: "full"}[a.code(t)])
				break
			}
			got = append(got, a.addrs(t))
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s: %s, want %s", ipam, text, want)
		}
	}
}
