package conntrack

import (
	"slices"
	"testing"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/test/nstest"
)

// Who watches is told of each flow that begins and of each that ends, and which of them were translated; and a dump lists them.
func TestWatch(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		watch, err := Listen()
		must(t, err)
		defer watch.Close()
		table := open(t)
		published := entry{udp, "192.0.2.9:1000", "192.0.2.1:53", "10.1.0.9:53"}
		must(t, published.add(table))
		must(t, entry{tcp, "[2001:db8::9]:1001", "[2001:db8::1]:80", "[2001:db8::1]:80"}.add(table))
		listed, err := table.Flows()
		must(t, err)
		if len(listed) != 2 {
			t.Errorf("%d flows, want 2", len(listed))
		}
		n, err := table.Cut([]firewall.Port{port(udp, "", 53, "10.1.0.9:53")})
		must(t, err)
		var heard []Flow
		for buffer := make([]byte, 64<<10); len(heard) < 3; {
			list, lost, err := watch.Next(buffer)
			must(t, err)
			if lost {
				t.Error("something was lost")
			}
			heard = append(heard, list...)
		}
		kinds := make([][2]bool, len(heard))
		for i, f := range heard {
			kinds[i] = [2]bool{f.Ended(), f.Translated()}
		}
		if want := [][2]bool{{false, true}, {false, false}, {true, true}}; n != 1 || !slices.Equal(kinds, want) || heard[0].ID != heard[2].ID || heard[0].ID == 0 ||
			heard[0].Server.String() != published.replies || heard[1].Client.String() != "[2001:db8::9]:1001" {
			t.Errorf("%d cut, heard %+v", n, heard)
		}
	})
}
