package nftconn

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
	"github.com/trestle-cni/trestle/test/slack"
)

// TestSocketFails asks that each way of asking ends with what became of the socket: of one that was closed, and of one without the room for what is sent or
// for what comes back. The library itself asks for ever after an error of its transport.
func TestSocketFails(t *testing.T) {
	for name, c := range map[string]struct {
		closed bool
		ask    func(*Conn) error
		want   unix.Errno
	}{
		"a list":       {true, func(c *Conn) error { _, err := c.ListTables(); return err }, unix.EBADF},
		"chains":       {true, func(c *Conn) error { _, err := c.ListChains(); return err }, unix.EBADF},
		"one table":    {true, func(c *Conn) error { _, err := c.ListTableOfFamily("one", nftables.TableFamilyINet); return err }, unix.EBADF},
		"a commit":     {true, func(c *Conn) error { return remove(c, 1, "t") }, unix.EBADF},
		"too much":     {false, func(c *Conn) error { return remove(c, 1<<10, strings.Repeat("t", 1<<15)) }, unix.EMSGSIZE},
		"many answers": {false, func(c *Conn) error { return remove(c, 1<<10, "t") }, unix.ENOBUFS},
	} {
		t.Run(name, func(t *testing.T) {
			nstest.Run(t, func(t *testing.T) {
				conn, err := Open()
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if c.closed {
					conn.Close()
				}
				ended(t, func() error { return c.ask(conn) }, c.want)
			})
		})
	}
}

func ended(t *testing.T, ask func() error, want unix.Errno) {
	t.Helper()
	answer := make(chan error, 1)
	go func() { answer <- ask() }()
	select {
	case err := <-answer:
		if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	case <-time.After(slack.Of(10 * time.Second)):
		t.Fatalf("it asks for ever, want %v", want)
	}
}

// remove removes so many tables that are not there: each has its answer.
func remove(c *Conn, count int, name string) error {
	for i := range count {
		c.DelTable(&nftables.Table{Name: fmt.Sprint(name, i), Family: nftables.TableFamilyINet})
	}
	return c.Flush()
}
