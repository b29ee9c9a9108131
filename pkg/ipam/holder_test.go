package ipam

import (
	"strings"
	"testing"
)

func TestParseHolder(t *testing.T) {
	for _, c := range []struct {
		content string
		want    Holder
		ok      bool
	}{
		{"ctr1\r\neth0", Holder{"ctr1", "eth0"}, true},
		{" ctr1\r\neth0\n\n", Holder{"ctr1", "eth0"}, true},
		{"ctr1", Holder{"ctr1", ""}, true},
		{"ctr1\n", Holder{"ctr1", ""}, true},
		{"kept for the printer\n", Holder{"kept for the printer", ""}, true},
		{"ctr1\r\n", Holder{"ctr1", ""}, true},
		{"", Holder{}, false},
		{" \r\n ", Holder{}, false},
		{"ctr1\neth0", Holder{}, false},
		{"\x00\x00\x00\x00", Holder{}, false},
		{"ctr1\r\n\x00\x00", Holder{}, false},
		{"ctr1\r\neth0\r\nx", Holder{}, false},
		{"\xff\xfe", Holder{}, false},
		{"ctr1\r\neth\x7f", Holder{"ctr1", "eth\x7f"}, true}, // the reference takes it
		{"ctr1\r\n\x1b[m", Holder{"ctr1", "\x1b[m"}, true},
		{"ctr1\r\n\xff", Holder{"ctr1", "\xff"}, true},
	} {
		got, ok := parseHolder([]byte(c.content))
		if got != c.want || ok != c.ok {
			t.Errorf("%q: %+v, %v; want %+v, %v", c.content, got, ok, c.want, c.ok)
		}
	}
}

// What could not be found again is not written.
func TestReadable(t *testing.T) {
	for _, c := range []struct {
		h  Holder
		ok bool
	}{
		{Holder{"ctr1", "eth0"}, true},
		{Holder{strings.Repeat("c", 4000), "eth0"}, true},
		{Holder{strings.Repeat("c", 5000), "eth0"}, false},
		{Holder{strings.Repeat("c", fileRoom-len("\r\neth0")-1), "eth0"}, true},
		{Holder{strings.Repeat("c", fileRoom-len("\r\neth0")), "eth0"}, false},
		{Holder{"ctr1", "eth\x7f"}, true},
		{Holder{"ctr1", "eth0\n"}, false},
		{Holder{"ctr1", "\u00a0"}, false},
		{Holder{"ctr1", ""}, true}, // an old reference's
		{Holder{"ctr\x7f", "eth0"}, false},
		{Holder{}, false},
	} {
		if err := c.h.readable(); (err == nil) != c.ok {
			t.Errorf("%.40q: %v, want %v", c.h, err, c.ok)
		}
	}
}

func TestEncode(t *testing.T) {
	if got, want := (Holder{"ctr1", "eth0"}).encode(), "ctr1\r\neth0"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestParseName(t *testing.T) {
	for name, want := range map[string]bool{
		"10.1.0.2": true, "fd00::2": true, "::": true,
		"FD00::2": false, "fd00:0::2": false, "::ffff:10.1.0.2": false, "fe80::1%eth0": false, "10.1.0.02": false,
		"lock": false, "last_reserved_ip.0": false, "10.1.0.2~": false, "": false, "10.1.0.0/24": false,
	} {
		if _, got := parseName(name); got != want {
			t.Errorf("%q is an address's file: %v, want %v", name, got, want)
		}
	}
}
