package attach

import (
	"net"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/trestle-cni/trestle/pkg/keys"
)

func TestPrefix(t *testing.T) {
	for _, c := range []struct {
		ip   net.IP
		mask net.IPMask
		want string
	}{
		{net.IPv4(10, 1, 0, 2), net.CIDRMask(24, 32), "10.1.0.2/24"},
		{net.IPv4(10, 1, 0, 2).To4(), net.CIDRMask(24, 32), "10.1.0.2/24"},
		{net.IPv4(10, 1, 0, 2), net.CIDRMask(120, 128), "10.1.0.2/24"},
		{net.ParseIP("fd00::2"), net.CIDRMask(64, 128), "fd00::2/64"},
		{net.IPv4zero, net.CIDRMask(0, 32), "0.0.0.0/0"},
		{nil, net.CIDRMask(24, 32), "invalid Prefix"},
		{net.IPv4(10, 1, 0, 2), nil, "invalid Prefix"},
		{net.IPv4(10, 1, 0, 2), net.IPMask{255, 0, 255, 0}, "invalid Prefix"},
		{net.IPv4(10, 1, 0, 2), net.CIDRMask(64, 128), "invalid Prefix"},
	} {
		if got := Prefix(net.IPNet{IP: c.ip, Mask: c.mask}); got.String() != c.want || got.IsValid() != (c.want != "invalid Prefix") {
			t.Errorf("%v %v: %v, want %s", c.ip, c.mask, got, c.want)
		}
	}
}

func TestPrefixProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom([]int{4, 16}).Draw(t, "bytes")
		addr, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "address"))
		addr = addr.Unmap() // in a result the two forms are one
		want := netip.PrefixFrom(addr, rapid.IntRange(0, addr.BitLen()).Draw(t, "length"))
		if got := Prefix(IPNet(want)); got != want {
			t.Fatalf("%s became %s", want, got)
		}
	})
}

// A drawn address is one that an interface may have, nobody's property, the same for the same call, and another for another part.
func TestMAC(t *testing.T) {
	var one, two Call
	two.Seed[0] = 1
	for _, part := range []string{"host", "container", "bridge", "vlan"} {
		mac := one.MAC(part)
		if len(mac) != 6 || mac[0]&1 != 0 || mac[0]&2 == 0 {
			t.Errorf("%s: %s is not a locally administered address of one interface", part, mac)
		}
		if mac.String() != one.MAC(part).String() || mac.String() == two.MAC(part).String() || mac.String() == one.MAC(part+"x").String() {
			t.Errorf("%s: %s does not follow from seed and part", part, mac)
		}
	}
}

func TestEarly(t *testing.T) {
	for ipam, want := range map[string]bool{
		`{"type": "host-local"}`: true, `{"type": "static"}`: true, `{"type": "dhcp"}`: false, `{"type": "calico-ipam"}`: false, `{}`: false, `null`: false,
		`{"type": "static", "detectConflict": true}`: false, `{"type": "static", "detectConflict": false}`: true, `{"type": "host-local", "detectConflict": true}`: true,
	} {
		k, err := keys.Parse([]byte(`{"ipam": ` + ipam + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if Early(k) != want {
			t.Errorf("%s: %v", ipam, !want)
		}
	}
}
