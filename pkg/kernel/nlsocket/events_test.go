package nlsocket

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// TestLost lets the kernel drop events. Whatever happens after it was told of the loss is told, be it before the next look into the socket.
func TestLost(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		e, err := Listen(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		err = e.raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 0) })
		if err != nil {
			t.Fatal(err)
		}
		for round := range 3 {
			links(t, "first", round)
			if err := e.Next(func(Message) {}); !errors.Is(err, ErrLost) {
				t.Fatalf("round %d: %v", round, err)
			}
			if err := e.raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<16) }); err != nil {
				t.Fatal(err)
			}
			links(t, "after", round)
			told := make(map[string]bool)
			_ = e.file.SetReadDeadline(time.Now().Add(slack.Of(10 * time.Second)))
			for name := fmt.Sprint("after", round, ".3"); !told[name]; {
				err := e.Next(func(m Message) {
					for n := range 4 {
						if name := fmt.Sprint("after", round, ".", n); strings.Contains(string(m.Data), name+"\x00") {
							told[name] = true
						}
					}
				})
				if err != nil {
					t.Fatalf("round %d: told of %v: %v", round, told, err)
				}
			}
			if len(told) != 4 {
				t.Errorf("round %d: told of %v", round, told)
			}
			_ = e.raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 0) })
		}
	})
}

// links makes four.
func links(t *testing.T, name string, round int) {
	t.Helper()
	for n := range 4 {
		if out, err := exec.Command("ip", "link", "add", fmt.Sprint(name, round, ".", n), "type", "bridge").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}
