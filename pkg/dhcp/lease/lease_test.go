package lease

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/dhcp/packet"
	"github.com/trestle-cni/trestle/pkg/keys"
)

func options(t *testing.T, ipam, args string) (Options, error) {
	t.Helper()
	k, err := keys.Parse([]byte(`{"ipam": ` + ipam + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return Read(k.Object("ipam"), args), k.Err()
}

// TestOptions shows each key, and each way to write it.
func TestOptions(t *testing.T) {
	defaults := []uint8{1, 3, 6, 15, 119, 33, 121}
	for text, c := range map[string]struct {
		args, refused string
		want          Options
	}{
		`{}`: {want: Options{Request: defaults}},
		`{"provide": null, "request": null, "priority": null, "clientID": null, "mtu": null}`:           {want: Options{Request: defaults}},
		`{"priority": 50, "mtu": true, "clientID": "pod"}`:                                              {want: Options{Request: append(slices.Clone(defaults), 26), Priority: 50, MTU: true, ClientID: "pod"}},
		`{"request": [{"skipDefault": true}]}`:                                                          {want: Options{}},
		`{"request": [{"option": "routers"}, {"skipDefault": true}, {"option": "42"}, {"option": 43}]}`: {want: Options{Request: []uint8{3, 42, 43}}},
		`{"provide": [{"option": "host-name", "fromArg": "K"}, {"option": "12", "value": "v"}, {"option": "user-class", "fromArg": "none"}]}`: {args: "K=k;odd",
			want: Options{Request: defaults, Provide: []Option{{12, "k"}, {12, "v"}}}},
		`{"provide": [{"option": 12, "value": "v"}, {"option": 12, "fromArg": "K"}, {"option": 60, "value": "w", "fromArg": "K"}, {"option": 77, "value": "x", "fromArg": "none"}]}`: {args: "=odd;K=k",
			want: Options{Request: defaults, Provide: []Option{{12, "v"}, {12, "k"}, {60, "k"}, {77, "x"}}}},
		`{"provide": [{"option": "dhcp-client-identifier", "value": "a"}, {"option": "vendor-class-identifier", "value": "b"}, {"option": "subnet-mask", "value": "c"}]}`: {
			want: Options{Request: defaults, Provide: []Option{{61, "a"}, {60, "b"}, {1, "c"}}}},
		`{"provide": [{"option": "colour"}]}`:           {refused: "ipam.provide[0].option"},
		`{"request": [{"option": 256}]}`:                {refused: "ipam.request[0].option"},
		`{"clientID": "me"}`:                            {refused: "ipam.clientID"},
		`{"priority": -1}`:                              {refused: "ipam.priority"},
		`{"provide": [{"option": 12, "fromArg": "K"}]}`: {args: "K=" + strings.Repeat("x", 256), refused: "ipam.provide[0].fromArg"},
		`{"provide": [{"option": 12, "value": "` + strings.Repeat("x", 256) + `"}]}`: {refused: "255 bytes"},
	} {
		got, err := options(t, text, c.args)
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: %v, want %q", text, err, c.refused)
			}
			continue
		}
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", text, err, diff)
		}
	}
}

// TestIdentity shows by what a server knows the client.
func TestIdentity(t *testing.T) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 7}
	args := map[string]string{"K8S_POD_NAMESPACE": "ns", "K8S_POD_NAME": "pod"}
	long := strings.Repeat("x", 300)
	for want, got := range map[string][]byte{
		"\x00c1/net/eth0":              Options{}.Identity("c1/net/eth0", mac, args, "eth0"),
		"\x01\x02\x00\x00\x00\x00\x07": Options{ClientID: "mac"}.Identity("c1/net/eth0", mac, args, "eth0"),
		"\x00ns/pod/eth0":              Options{ClientID: "pod"}.Identity("c1/net/eth0", mac, args, "eth0"),
		"\x00c1/net/eth1":              Options{ClientID: "pod"}.Identity("c1/net/eth1", mac, nil, "eth1"),
		"me":                           Options{ClientID: "mac", Provide: []Option{{clientID, "first"}, {clientID, "me"}}}.Identity("c1", mac, args, "eth0"),
		"\x00" + long[:254]:            Options{}.Identity(long, mac, args, "eth0"),
	} {
		if string(got) != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func answered(t *testing.T, options ...dhcpv4.Option) *dhcpv4.DHCPv4 {
	t.Helper()
	m, err := dhcpv4.New(dhcpv4.WithYourIP(net.IPv4(10, 9, 0, 10)), dhcpv4.WithNetmask(net.CIDRMask(24, 32)), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 9, 0, 1))))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range options {
		m.UpdateOption(o)
	}
	return m
}

func raw(code uint8, b ...byte) dhcpv4.Option {
	return dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), b)
}

// TestTerms shows what is made of a server's answer: which routes hold, when it is asked again.
func TestTerms(t *testing.T) {
	router := raw(routers, 10, 9, 0, 1, 10, 9, 0, 2)
	for name, c := range map[string]struct {
		options []dhcpv4.Option
		routes  string
		times   string
	}{
		"nothing":           {nil, "[]", "30m0s 51m0s 1h0m0s"},
		"a router":          {[]dhcpv4.Option{router}, "[{0.0.0.0/0 10.9.0.1}]", "30m0s 51m0s 1h0m0s"},
		"by classes":        {[]dhcpv4.Option{router, raw(staticRoutes, 172, 16, 0, 0, 10, 9, 0, 3, 0, 0, 0, 0, 10, 9, 0, 3, 1)}, "[{172.16.0.0/16 10.9.0.3} {0.0.0.0/0 10.9.0.1}]", "30m0s 51m0s 1h0m0s"},
		"without classes":   {[]dhcpv4.Option{router, raw(staticRoutes, 172, 16, 0, 0, 10, 9, 0, 3), raw(classlessRoutes, 9, 10, 128, 10, 9, 0, 4, 32, 192, 0, 2, 1, 0, 0, 0, 0)}, "[{192.0.2.1/32 invalid IP} {10.128.0.0/9 10.9.0.4}]", "30m0s 51m0s 1h0m0s"},
		"its times":         {[]dhcpv4.Option{raw(51, 0, 0, 0, 100), raw(58, 0, 0, 0, 10), raw(59, 0, 0, 0, 20)}, "[]", "10s 20s 1m40s"},
		"times upside down": {[]dhcpv4.Option{raw(51, 0, 0, 0, 100), raw(58, 0, 0, 0, 200), raw(59, 0, 0, 0, 20)}, "[]", "1m40s 1m40s 1m40s"},
		"for ever":          {[]dhcpv4.Option{raw(51, 255, 255, 255, 255)}, "[]", "0s 0s 0s"},
	} {
		got, err := Options{}.read(answered(t, c.options...), packet.Way{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if routes := sprint(got.Routes); routes != c.routes {
			t.Errorf("%s: routes %s, want %s", name, routes, c.routes)
		}
		if times := strings.Join([]string{got.Renew.String(), got.Rebind.String(), got.End.String()}, " "); times != c.times {
			t.Errorf("%s: times %s, want %s", name, times, c.times)
		}
	}
}

// TestHostileAnswers: whoever is on the link may answer. Of what no container can be made nothing is taken, and of the rest what is as it should be.
func TestHostileAnswers(t *testing.T) {
	your := func(ip ...byte) func(*dhcpv4.DHCPv4) { return func(m *dhcpv4.DHCPv4) { m.YourIPAddr = ip } }
	for name, change := range map[string]func(*dhcpv4.DHCPv4){
		"no mask": set(raw(subnetMask)), "a mask with holes": set(raw(subnetMask, 255, 0, 255, 0)), "a mask of nothing": set(raw(subnetMask, 0, 0, 0, 0)),
		"three quarters of a mask": set(raw(subnetMask, 255, 255, 255)), "a long mask": set(raw(subnetMask, 255, 255, 255, 0, 0)),
		"no address": your(0, 0, 0, 0), "everybody's address": your(255, 255, 255, 255), "a group's address": your(224, 0, 0, 5), "one's own address": your(127, 0, 0, 1),
		"no server": set(raw(54)), "half a server": set(raw(54, 10, 9)), "a group as server": set(raw(54, 224, 0, 0, 1)), "no time": set(raw(51, 0, 0, 0, 0)),
	} {
		m := answered(t)
		change(m)
		if got, err := (Options{}).read(m, packet.Way{}); !errors.Is(err, errUnusable) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	for name, c := range map[string]struct {
		options []dhcpv4.Option
		want    string // routes, router, DNS, domain, search list, MTU, time to renew
	}{
		"routers in odd bytes":         {[]dhcpv4.Option{raw(routers, 10, 9, 0, 1, 10)}, "[] none [] [] 0 30m0s"},
		"a group as router":            {[]dhcpv4.Option{raw(routers, 224, 0, 0, 1)}, "[] none [] [] 0 30m0s"},
		"itself as DNS":                {[]dhcpv4.Option{raw(nameServers, 127, 0, 0, 53, 10, 9, 0, 53)}, "[] none [10.9.0.53] [] 0 30m0s"},
		"routes without an end":        {[]dhcpv4.Option{raw(routers, 10, 9, 0, 1), raw(classlessRoutes, 24, 10, 1)}, "[{0.0.0.0/0 10.9.0.1}] 10.9.0.1 [] [] 0 30m0s"},
		"routes of 33 bits":            {[]dhcpv4.Option{raw(classlessRoutes, 33, 10, 1, 1, 1, 1, 10, 9, 0, 1)}, "[] none [] [] 0 30m0s"},
		"routes by a group":            {[]dhcpv4.Option{raw(classlessRoutes, 8, 10, 224, 0, 0, 1, 8, 11, 10, 9, 0, 1)}, "[{11.0.0.0/8 10.9.0.1}] none [] [] 0 30m0s"},
		"two routes to one network":    {[]dhcpv4.Option{raw(classlessRoutes, 8, 10, 10, 9, 0, 1, 8, 10, 10, 9, 0, 2)}, "[{10.0.0.0/8 10.9.0.1}] none [] [] 0 30m0s"},
		"by classes, by everybody":     {[]dhcpv4.Option{raw(staticRoutes, 172, 16, 0, 0, 255, 255, 255, 255, 172, 17, 0, 0, 10)}, "[] none [] [] 0 30m0s"},
		"a resolver's lines":           {[]dhcpv4.Option{raw(domainName, []byte("a\nnameserver 192.0.2.1")...)}, "[] none [] [] 0 30m0s"},
		"a giant name":                 {[]dhcpv4.Option{raw(domainName, bytes.Repeat([]byte("a."), 200)...)}, "[] none [] [] 0 30m0s"},
		"no text":                      {[]dhcpv4.Option{raw(domainName, 0xff, 0xfe)}, "[] none [] [] 0 30m0s"},
		"a good name":                  {[]dhcpv4.Option{raw(domainName, []byte("Lab_1.example.net.\x00")...)}, "[] none [] Lab_1.example.net.[] 0 30m0s"},
		"names among which one is bad": {[]dhcpv4.Option{raw(searchList, 1, 'a', 0, 3, 'b', '\n', 'c', 0, 1, 'd', 0)}, "[] none [] [a d] 0 30m0s"},
		"names that stand for others":  {[]dhcpv4.Option{raw(searchList, bytes.Repeat([]byte{1, 'a', 0xc0, 0}, 2000)...)}, "[] none [] [] 0 30m0s"},
		"names that stand for nothing": {[]dhcpv4.Option{raw(searchList, 0xc0)}, "[] none [] [] 0 30m0s"},
		"a small MTU":                  {[]dhcpv4.Option{raw(interfaceMTU, 0, 67)}, "[] none [] [] 0 30m0s"},
		"an odd MTU":                   {[]dhcpv4.Option{raw(interfaceMTU, 5)}, "[] none [] [] 0 30m0s"},
		"to be asked at once":          {[]dhcpv4.Option{raw(58, 0, 0, 0, 0)}, "[] none [] [] 0 1s"},
		"an odd time":                  {[]dhcpv4.Option{raw(51, 0, 1), raw(58, 9)}, "[] none [] [] 0 30m0s"},
	} {
		got, err := Options{MTU: true}.read(answered(t, c.options...), packet.Way{})
		if is := fmt.Sprintf("%s %s %v %s%v %d %v", sprint(got.Routes), text(got.Router), got.DNS, got.Domain, got.Search, got.MTU, got.Renew); err != nil || is != c.want {
			t.Errorf("%s: %v\n%s, want\n%s", name, err, is, c.want)
		}
	}
}

func set(o dhcpv4.Option) func(*dhcpv4.DHCPv4) { return func(m *dhcpv4.DHCPv4) { m.UpdateOption(o) } }

func sprint(routes []Route) string {
	list := []string{}
	for _, r := range routes {
		list = append(list, "{"+r.Dst.String()+" "+r.Via.String()+"}")
	}
	return "[" + strings.Join(list, " ") + "]"
}

// aLease is a record as a daemon writes it.
func aLease() Record {
	return Record{Network: "net", ContainerID: "c1", IfName: "eth0", Netns: "/run/netns/c1", Inode: 7, Link: 2, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 7}, ID: []byte{0, 'x'},
		Terms: Terms{Addr: netip.MustParsePrefix("10.9.0.10/24"), Server: netip.MustParseAddr("10.9.0.1"), Routes: []Route{{Dst: netip.MustParsePrefix("0.0.0.0/0")}}, Began: Now(),
			Renew: time.Minute, Rebind: 2 * time.Minute, End: time.Hour}}
}

// TestRecord: what is written down is read as it was.
func TestRecord(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "leases")
	r := aLease()
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	compare := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	prefixes := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	if got, err := Find(dir, "c1", "net", "eth0"); err != nil || got == nil || !cmp.Equal(r, *got, compare, prefixes) {
		t.Errorf("%v %v", got, err)
	}
	for range 2 {
		if err := r.Remove(dir); err != nil {
			t.Error(err)
		}
	}
	if got, err := Find(dir, "c1", "net", "eth0"); got != nil || err != nil {
		t.Errorf("%v %v", got, err)
	}
}

// TestSpoiltRecords: of a record that lacks what is needed to renew a lease and to give it back it is told what that is, and it keeps no other from being read.
func TestSpoiltRecords(t *testing.T) {
	for want, spoil := range map[string]func(dir, path string, r Record) error{
		"unexpected end":         func(_, path string, _ Record) error { return os.WriteFile(path, []byte(`{"Net`), 0o600) },
		"cannot unmarshal":       func(_, path string, _ Record) error { return os.WriteFile(path, []byte(`{"Link": "two"}`), 0o600) },
		"not written down under": func(_, path string, _ Record) error { return os.WriteFile(path, []byte(`{}`), 0o600) },
		"not a regular file":     func(_, path string, _ Record) error { return unix.Mkfifo(path, 0o600) },
		"is a directory":         func(_, path string, _ Record) error { return os.Mkdir(path, 0o700) },
		"too many levels":        func(_, path string, _ Record) error { return os.Symlink(path, path) },
		"of another boot":        func(dir, _ string, r Record) error { r.Began += time.Hour; return r.Write(dir) },
		"of which interface":     func(dir, _ string, r Record) error { r.Netns = ""; return r.Write(dir) },
		"what was given":         func(dir, _ string, r Record) error { r.Terms = Terms{}; return r.Write(dir) },
		"when it is to be":       func(dir, _ string, r Record) error { r.Renew = 0; return r.Write(dir) },
	} {
		dir, r := t.TempDir(), aLease()
		err := r.Write(dir)
		r.ContainerID = "c2"
		if err = errors.Join(err, spoil(dir, r.file(dir), r)); err != nil {
			t.Fatalf("%s: %v", want, err)
		}
		if got, err := Find(dir, "c2", "net", "eth0"); got != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v %v, want %q", got, err, want)
		}
		if list, err := All(dir); err == nil || len(list) != 1 || list[0].ContainerID != "c1" {
			t.Errorf("%s: %v %v", want, list, err)
		}
		if err := r.Remove(dir); err != nil {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestDiffers shows what a renewal is told to have brought that the container does not have: any of its terms but the times.
func TestDiffers(t *testing.T) {
	addr := netip.MustParseAddr
	was := Terms{Addr: netip.MustParsePrefix("10.9.0.10/24"), Router: addr("10.9.0.1"), DNS: []netip.Addr{addr("10.9.0.53")}, Domain: "a", MTU: 1400, End: time.Hour}
	for want, change := range map[string]func(*Terms){
		"": func(t *Terms) { t.Began, t.End, t.Renew, t.Server = 1, 2, 3, addr("10.9.0.2") },
		"address was 10.9.0.10/24, is 10.9.0.11/24": func(t *Terms) { t.Addr = netip.MustParsePrefix("10.9.0.11/24") },
		"address was 10.9.0.10/24, is 10.9.0.10/16": func(t *Terms) { t.Addr = netip.MustParsePrefix("10.9.0.10/16") },
		"router was 10.9.0.1, is none":              func(t *Terms) { t.Router = netip.Addr{} },
		"MTU was 1400, is 0":                        func(t *Terms) { t.MTU = 0 },
		"DNS was [10.9.0.53] a [], is [] a []":      func(t *Terms) { t.DNS = nil },
		"routes was [], is [{10.0.0.0/8 10.9.0.2}]": func(t *Terms) {
			t.Routes = []Route{{netip.MustParsePrefix("10.0.0.0/8"), addr("10.9.0.2")}}
		},
	} {
		now := was
		change(&now)
		if got := was.Differs(now); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestBootsClock: whoever sets the machine's clock, forward or back, changes no lease: nothing of the client, the daemon and the record asks for it.
func TestBootsClock(t *testing.T) {
	files, err := filepath.Glob("../*/*.go")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range []string{"time.Now()", "time.Since(", "time.Until(", "CLOCK_REALTIME"} {
			if !strings.HasSuffix(file, "_test.go") && strings.Contains(string(text), call) {
				t.Errorf("%s: %s", file, call)
			}
		}
	}
}
