package reach

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
)

// When more happened than could wait to be heard, that is told when all that waited is heard, and not before: until then the kernel says nothing new.
func TestOverrun(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		do(t, "ip link set lo up")
		heard, err := listen()
		if err != nil {
			t.Fatal(err)
		}
		defer heard.Close()
		raw, err := heard.file.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var set error
		if err := raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10) }); err != nil || set != nil {
			t.Fatal(err, set)
		}
		for i := range 40 {
			do(t, fmt.Sprintf("ip route add 10.9.%d.0/24 dev lo", i))
		}
		all := make(chan event, 100)
		go heard.each(func(e event) { all <- e })
		var waited int
		for e := <-all; !e.lost; e = <-all {
			waited++
		}
		if waited == 0 || waited >= 40 {
			t.Errorf("%d of 40 were heard before the loss was told", waited)
		}
		do(t, "ip route del 10.9.0.0/24 dev lo")
		for e := <-all; e.kind != unix.RTM_DELROUTE; e = <-all {
			t.Errorf("after the loss was told came %+v", e)
		}
	})
}
