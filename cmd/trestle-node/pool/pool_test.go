package pool

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
)

func define(t *testing.T, text string) Definition {
	t.Helper()
	var d Definition
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

const routed = `{"cidrs": ["10.64.0.0/12", "fd00:64::/48", "10.96.0.0/24"], "blockSize": {"ipv4": 26, "ipv6": 64}, "shape": "routed"}`

func TestBlocks(t *testing.T) {
	d := define(t, routed)
	if err := d.Check(); err != nil {
		t.Fatal(err)
	}
	if n4, n6 := d.Len(4), d.Len(6); n4 != 1<<14+4 || n6 != 1<<16 {
		t.Fatal(n4, n6)
	}
	for id, want := range map[ID]string{
		{4, 0}:         "10.64.0.0/26",
		{4, 5}:         "10.64.1.64/26",
		{4, 1<<14 - 1}: "10.79.255.192/26",
		{4, 1 << 14}:   "10.96.0.0/26",
		{4, 1<<14 + 3}: "10.96.0.192/26",
		{6, 0}:         "fd00:64::/64",
		{6, 65535}:     "fd00:64:0:ffff::/64",
	} {
		prefix, ok := d.Prefix(id)
		if !ok || prefix.String() != want {
			t.Errorf("%s: %s, want %s", id, prefix, want)
		}
		if back, ok := d.Find(last(prefix)); !ok || back != id {
			t.Errorf("%s: its last address is found in %s", id, back)
		}
		if parsed, err := ParseID(id.String()); err != nil || parsed != id {
			t.Errorf("%s: is read as %s: %v", id, parsed, err)
		}
	}
	for _, id := range []ID{{4, 1<<14 + 4}, {6, 1 << 16}} {
		if prefix, ok := d.Prefix(id); ok || d.Has(id) {
			t.Errorf("%s: %s, and the pool has no such block", id, prefix)
		}
	}
	if id, ok := d.Find(netip.MustParseAddr("10.96.1.0")); ok {
		t.Errorf("an address of nobody is in %s", id)
	}
}

// A block has one spelling.
func TestParseID(t *testing.T) {
	for _, text := range []string{"", "4/2a", "4/0000002A", "5/0000002a", "4/+000002a", "4/0000002a ", "4:0000002a", "4/000000_a", "6/1000000000"} {
		if id, err := ParseID(text); err == nil {
			t.Errorf("%q is read as %s", text, id)
		}
	}
}

func TestRanges(t *testing.T) {
	flat := define(t, `{"cidrs": ["192.0.2.0/24", "fd00::/120"], "blockSize": {"ipv4": 26, "ipv6": 122}, "shape": "flat", "gateways": ["192.0.2.254"]}`)
	if err := flat.Check(); err != nil {
		t.Fatal(err)
	}
	part := define(t, `{"cidrs": ["192.0.2.0/27", "192.0.2.224/27", "198.51.100.64/27", "fd00::80/121"], "blockSize": {"ipv4": 28, "ipv6": 124}, "shape": "flat",
		"subnets": ["192.0.2.0/24", "fd00::/64"], "gateways": ["192.0.2.200", "fd00::1"]}`)
	if err := part.Check(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		of   Definition
		id   ID
		want string
		n    int
	}{
		{define(t, routed), ID{4, 1}, `{"subnet":"10.64.0.64/26","gateway":"10.64.0.65"}`, 61},
		{define(t, routed), ID{6, 1}, `{"subnet":"fd00:64:0:1::/64","gateway":"fd00:64:0:1::1"}`, 1<<31 - 1},
		{flat, ID{4, 0}, `{"subnet":"192.0.2.0/24","rangeStart":"192.0.2.1","rangeEnd":"192.0.2.63","gateway":"192.0.2.254"}`, 63},
		{flat, ID{4, 1}, `{"subnet":"192.0.2.0/24","rangeStart":"192.0.2.64","rangeEnd":"192.0.2.127","gateway":"192.0.2.254"}`, 64},
		{flat, ID{4, 3}, `{"subnet":"192.0.2.0/24","rangeStart":"192.0.2.192","rangeEnd":"192.0.2.254","gateway":"192.0.2.254"}`, 62},
		{part, ID{4, 0}, `{"subnet":"192.0.2.0/24","rangeStart":"192.0.2.1","rangeEnd":"192.0.2.15","gateway":"192.0.2.200"}`, 15},
		{part, ID{4, 1}, `{"subnet":"192.0.2.0/24","rangeStart":"192.0.2.16","rangeEnd":"192.0.2.31","gateway":"192.0.2.200"}`, 16},
		{part, ID{4, 3}, `{"subnet":"192.0.2.0/24","rangeStart":"192.0.2.240","rangeEnd":"192.0.2.254","gateway":"192.0.2.200"}`, 15},
		{part, ID{4, 5}, `{"subnet":"198.51.100.64/27","rangeStart":"198.51.100.80","rangeEnd":"198.51.100.94","gateway":"198.51.100.65"}`, 15},
		{part, ID{6, 0}, `{"subnet":"fd00::/64","rangeStart":"fd00::80","rangeEnd":"fd00::8f","gateway":"fd00::1"}`, 16},
		{flat, ID{6, 0}, `{"subnet":"fd00::/120","rangeStart":"fd00::1","rangeEnd":"fd00::3f","gateway":"fd00::1"}`, 62},
		{flat, ID{6, 3}, `{"subnet":"fd00::/120","rangeStart":"fd00::c0","rangeEnd":"fd00::ff","gateway":"fd00::1"}`, 64},
	} {
		r, ok := c.of.Range(c.id)
		text, err := json.Marshal(r)
		if !ok || err != nil || string(text) != c.want {
			t.Errorf("%s: %s, %v, want %s", c.id, text, err, c.want)
		}
		if n := c.of.Addresses(c.id); n != c.n {
			t.Errorf("%s: %d addresses, want %d", c.id, n, c.n)
		}
	}
}

// Every block is tried, once; and hosts begin at places of their own.
func TestSearch(t *testing.T) {
	for _, cidr := range []string{"10.0.0.0/26", "10.0.0.0/25", "10.0.0.0/18"} {
		d := define(t, `{"cidrs": ["`+cidr+`", "10.1.0.0/26", "10.2.0.0/25"], "blockSize": {"ipv4": 26}, "shape": "routed"}`)
		for _, node := range []string{"n1", "n2", "n3"} {
			seen := make(map[ID]bool)
			for id := range d.Search("pods", node, 4) {
				if seen[id] || !d.Has(id) {
					t.Fatalf("%s: %s: is tried twice, or is none", cidr, id)
				}
				seen[id] = true
			}
			if uint32(len(seen)) != d.Len(4) {
				t.Errorf("%s: %d of %d blocks are tried", cidr, len(seen), d.Len(4))
			}
			for id := range d.Search("pods", node, 6) {
				t.Errorf("%s: %s: the pool has no IPv6", cidr, id)
			}
		}
	}
	d := define(t, routed)
	first := make(map[ID]int)
	for i := range 1000 {
		for id := range d.Search("pods", "n"+string(rune('a'+i/100))+string(rune('a'+i/10%10))+string(rune('a'+i%10)), 4) {
			first[id]++
			break
		}
	}
	if len(first) < 940 { // 1000 balls into 16388 boxes: 970 are expected
		t.Errorf("1000 hosts begin at %d places", len(first))
	}
}

func TestCheck(t *testing.T) {
	for text, want := range map[string]string{
		`{"shape": "routed"}`: "cidrs: must have one",
		`{"cidrs": ["10.0.0.1/8"], "blockSize": {"ipv4": 26}, "shape": "routed"}`:                                                     "must have no host bits set, as in 10.0.0.0/8",
		`{"cidrs": ["10.0.0.0/16", "10.0.9.0/24"], "blockSize": {"ipv4": 26}, "shape": "routed"}`:                                     "10.0.9.0/24: must not overlap 10.0.0.0/16",
		`{"cidrs": ["0.0.0.0/0"], "blockSize": {"ipv4": 24}, "shape": "routed"}`:                                                      "0.0.0.0/0: has addresses that no container can have",
		`{"cidrs": ["127.1.0.0/16"], "blockSize": {"ipv4": 24}, "shape": "flat"}`:                                                     "127.1.0.0/16: has addresses",
		`{"cidrs": ["239.0.0.0/16"], "blockSize": {"ipv4": 24}, "shape": "routed"}`:                                                   "239.0.0.0/16: has addresses",
		`{"cidrs": ["240.0.0.0/4"], "blockSize": {"ipv4": 26}, "shape": "routed"}`:                                                    "240.0.0.0/4: has addresses",
		`{"cidrs": ["::/112"], "blockSize": {"ipv6": 120}, "shape": "routed"}`:                                                        "::/112: has addresses",
		`{"cidrs": ["fe80::/64"], "blockSize": {"ipv6": 80}, "shape": "routed"}`:                                                      "fe80::/64: has addresses",
		`{"cidrs": ["ff05::/64"], "blockSize": {"ipv6": 80}, "shape": "routed"}`:                                                      "ff05::/64: has addresses",
		`{"cidrs": ["10.0.0.0/32"], "blockSize": {"ipv4": 32}, "shape": "routed"}`:                                                    "blockSize: IPv4: 32: must be from 32, the length of 10.0.0.0/32, to 30",
		`{"cidrs": ["fd00::1/128"], "blockSize": {"ipv6": 128}, "shape": "routed"}`:                                                   "to 126",
		`{"cidrs": ["10.0.0.0/16"], "shape": "routed"}`:                                                                               "blockSize: IPv4: 0: must be from 16",
		`{"cidrs": ["10.0.0.0/16"], "blockSize": {"ipv4": 31}, "shape": "routed"}`:                                                    "to 30",
		`{"cidrs": ["10.0.0.0/16"], "blockSize": {"ipv4": 12}, "shape": "routed"}`:                                                    "must be from 16",
		`{"cidrs": ["fd00::/32"], "blockSize": {"ipv6": 64}, "shape": "routed"}`:                                                      "more than 16777216 blocks",
		`{"cidrs": ["10.0.0.0/16"], "blockSize": {"ipv4": 26}, "shape": "round"}`:                                                     `shape: "round": must be routed or flat`,
		`{"cidrs": ["10.0.0.0/16"], "blockSize": {"ipv4": 26}, "shape": "flat", "gateways": ["10.1.0.1"]}`:                            "gateways: 10.1.0.1: must be in one of cidrs",
		`{"cidrs": ["10.0.0.0/16"], "blockSize": {"ipv4": 26}, "shape": "routed", "gateways": ["10.0.0.1"]}`:                          "has its own",
		`{"cidrs": ["10.0.0.0/16"], "blockSize": {"ipv4": 26}, "shape": "routed", "subnets": ["10.0.0.0/8"]}`:                         "of a routed pool",
		`{"cidrs": ["10.0.0.0/16"], "blockSize": {"ipv4": 26}, "shape": "flat", "subnets": ["10.0.0.1/8"]}`:                           "subnets: 10.0.0.1/8: must be",
		`{"cidrs": ["10.0.0.0/16"], "blockSize": {"ipv4": 26}, "shape": "flat", "subnets": ["10.0.0.0/24"]}`:                          "10.0.0.0/24: must have one of cidrs",
		`{"cidrs": ["10.0.0.0/16"], "blockSize": {"ipv4": 26}, "shape": "flat", "subnets": ["10.0.0.0/8", "10.0.0.0/12"]}`:            "10.0.0.0/12: must not overlap",
		`{"cidrs": ["10.0.0.0/16"], "blockSize": {"ipv4": 26}, "shape": "flat", "subnets": ["10.0.0.0/8"], "gateways": ["11.0.0.1"]}`: "11.0.0.1: must be in one of cidrs, or of subnets",
		`{"cidrs": ["::ffff:10.0.0.0/112"], "blockSize": {"ipv4": 26, "ipv6": 120}, "shape": "routed"}`:                               "must be an address and prefix length",
	} {
		if err := define(t, text).Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestChange(t *testing.T) {
	before := define(t, routed)
	for text, want := range map[string]string{
		routed: "",
		`{"cidrs": ["10.64.0.0/12", "fd00:64::/48"], "blockSize": {"ipv4": 26, "ipv6": 64}, "shape": "routed"}`:                                 "4/00004000-4/00004003",
		`{"cidrs": ["10.64.0.0/12", "10.96.0.0/24"], "blockSize": {"ipv4": 26}, "shape": "routed"}`:                                             "6/00000000-6/0000ffff",
		`{"cidrs": ["10.64.0.0/12", "10.96.0.0/24", "10.97.0.0/24", "fd00:64::/48"], "blockSize": {"ipv4": 26, "ipv6": 64}, "shape": "routed"}`: "",
		`{"cidrs": ["10.96.0.0/24", "fd00:64::/48"], "blockSize": {"ipv4": 26, "ipv6": 64}, "shape": "routed"}`:                                 "stands where 10.64.0.0/12 does",
		`{"cidrs": ["10.64.0.0/12", "fd00:64::/48"], "blockSize": {"ipv4": 27, "ipv6": 64}, "shape": "routed"}`:                                 "is 26",
		`{"cidrs": ["10.64.0.0/12", "fd00:64::/48"], "blockSize": {"ipv4": 26, "ipv6": 64}, "shape": "flat"}`:                                   "is routed",
	} {
		lost, err := before.Change(define(t, text))
		got := ""
		for _, span := range lost {
			got += span.First.String() + "-" + span.Last.String()
		}
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
