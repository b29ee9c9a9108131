package attach

import (
	"errors"
	"testing"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
	"github.com/trestle-cni/trestle/pkg/site"
	"github.com/trestle-cni/trestle/test/nstest"
)

// The kernel's part of a result: the MACs that the plan left open, and what lo has.
func TestDescribe(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		s, err := site.Open(site.Options{Netns: nstest.Namespace(t, "c1")})
		must(err)
		defer s.Close()
		must(s.Host.Conn.Send(rtnl.NewVeth(rtnl.Veth{Name: "outer", Peer: "inner", PeerNS: s.Container.NS})))
		must(s.Container.Conn.Send(rtnl.SetUp("lo")))
		r := &types100.Result{Interfaces: []*types100.Interface{{Name: "outer"}, {Name: "inner", Sandbox: "x"}, {Name: "outer", Mac: "kept"},
			{Name: "lo", Mac: "00:00:00:00:00:00", Sandbox: "x"}}}
		must(describe(s, r))
		outer, err1 := s.Host.LinkByName("outer")
		inner, err2 := s.Container.LinkByName("inner")
		must(errors.Join(err1, err2))
		for i, want := range []string{outer.Attrs().HardwareAddr.String(), inner.Attrs().HardwareAddr.String(), "kept", "00:00:00:00:00:00"} {
			if got := r.Interfaces[i].Mac; got != want {
				t.Errorf("interface %d: mac %s, want %s", i, got, want)
			}
		}
		for i, want := range []string{"127.0.0.1/8", "::1/128"} {
			if got := r.IPs[i]; got.Address.String() != want || *got.Interface != 3 {
				t.Errorf("address %d: %v", i, got)
			}
		}
		if err := describe(s, &types100.Result{Interfaces: []*types100.Interface{{Name: "gone"}}}); !errors.Is(err, unix.ENODEV) {
			t.Errorf("a link that is not there: %v", err)
		}
	})
}
