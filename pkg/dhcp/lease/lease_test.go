package lease

import (
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
			want: Options{Request: defaults, Provide: []Option{{12, "v"}, {12, "k"}}}},
		`{"provide": [{"option": "dhcp-client-identifier", "value": "a"}, {"option": "vendor-class-identifier", "value": "b"}, {"option": "subnet-mask", "value": "c"}]}`: {
			want: Options{Request: defaults, Provide: []Option{{61, "a"}, {60, "b"}, {1, "c"}}}},
		`{"provide": [{"option": "colour"}]}`: {refused: "ipam.provide[0].option"},
		`{"request": [{"option": 256}]}`:      {refused: "ipam.request[0].option"},
		`{"clientID": "me"}`:                  {refused: "ipam.clientID"},
		`{"priority": -1}`:                    {refused: "ipam.priority"},
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

func ack(t *testing.T, options ...dhcpv4.Option) *dhcpv4.DHCPv4 {
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
		"without classes":   {[]dhcpv4.Option{router, raw(staticRoutes, 172, 16, 0, 0, 10, 9, 0, 3), raw(classlessRoutes, 9, 10, 128, 10, 9, 0, 4, 32, 192, 0, 2, 1, 0, 0, 0, 0)}, "[{10.128.0.0/9 10.9.0.4} {192.0.2.1/32 invalid IP}]", "30m0s 51m0s 1h0m0s"},
		"its times":         {[]dhcpv4.Option{raw(51, 0, 0, 0, 100), raw(58, 0, 0, 0, 10), raw(59, 0, 0, 0, 20)}, "[]", "10s 20s 1m40s"},
		"times upside down": {[]dhcpv4.Option{raw(51, 0, 0, 0, 100), raw(58, 0, 0, 0, 200), raw(59, 0, 0, 0, 20)}, "[]", "1m40s 1m40s 1m40s"},
		"for ever":          {[]dhcpv4.Option{raw(51, 255, 255, 255, 255)}, "[]", "0s 0s 0s"},
	} {
		got, err := Options{}.read(ack(t, c.options...), packet.Way{})
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
	if _, err := (Options{}).read(ack(t, raw(subnetMask)), packet.Way{}); err == nil {
		t.Error("an answer without a mask is taken")
	}
}

func sprint(routes []Route) string {
	list := []string{}
	for _, r := range routes {
		list = append(list, "{"+r.Dst.String()+" "+r.Via.String()+"}")
	}
	return "[" + strings.Join(list, " ") + "]"
}

// TestRecord: what is written down is read as it was, and what is torn is told, and keeps no other from being read.
func TestRecord(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "leases")
	r := Record{Network: "net", ContainerID: "c1", IfName: "eth0", Inode: 7, MAC: net.HardwareAddr{2, 0, 0, 0, 0, 7}, ID: []byte{0, 'x'},
		Terms: Terms{Addr: netip.MustParsePrefix("10.9.0.10/24"), Server: netip.MustParseAddr("10.9.0.1"), Routes: []Route{{Dst: netip.MustParsePrefix("0.0.0.0/0")}}, Began: Now(), End: time.Hour}}
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	compare := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	prefixes := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	if got, err := Find(dir, "c1", "net", "eth0"); err != nil || got == nil || !cmp.Equal(r, *got, compare, prefixes) {
		t.Errorf("%v %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "torn.json"), []byte(`{"Net`), 0o600); err != nil {
		t.Fatal(err)
	}
	if list, err := All(dir); err == nil || len(list) != 1 {
		t.Errorf("%v %v", list, err)
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
