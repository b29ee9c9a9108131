package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/peer"
	"github.com/trestle-cni/trestle/test/slack"
	"github.com/trestle-cni/trestle/test/space"
)

// The host's addresses on its uplink (space.Uplink), and those of the client at its other end, who has no route to any container.
const (
	host4, outside4 = "192.0.2.1", "192.0.2.2"
	host6, outside6 = "2001:db8::1", "2001:db8::2"
	outside         = netns + "/outside"
)

// patience bounds how long anything may take that somebody else does: 20 seconds at rest.
func patience() time.Duration { return slack.Of(10 * time.Second) }

// eventually tries until it works. What is awaited happens in another program, which tells nobody (a server that begins to listen, a daemon
// that reads a changed directory), so there is no event to wait for.
func eventually(f func() error) error { return within(patience(), f) }

func within(long time.Duration, f func() error) error {
	for deadline := time.Now().Add(long); ; time.Sleep(20 * time.Millisecond) {
		err := f()
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// uplink makes the outside, with a server that everybody may ask.
func uplink() error {
	if err := space.Addresses("lo"); err != nil {
		return err
	}
	if err := makeNamespace(outside); err != nil {
		return err
	}
	if err := space.Uplink(outside); err != nil {
		return err
	}
	return in(outside, func() error {
		var errs []error
		for _, network := range []string{"tcp4", "tcp6", "udp4", "udp6"} {
			_, err := peer.Serve("outside", network, ":8080")
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
}

// asks wants the answer from the address, asked from the namespace, "" for the host.
func asks(from, network, address, want string) error {
	var answer string
	err := in(from, func() (err error) {
		answer, err = peer.Ask(network, address, slack.Of(time.Second))
		return err
	})
	if err != nil {
		return fmt.Errorf("%s %s: no answer: %w", network, address, err)
	}
	if strings.TrimSpace(answer) != want {
		return fmt.Errorf("%s %s: %q, want %q", network, address, strings.TrimSpace(answer), want)
	}
	return nil
}

// processes returns the processes whose arguments are these.
func processes(arguments ...string) (pids []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && string(line) == strings.Join(arguments, "\x00")+"\x00" {
			pids = append(pids, filepath.Base(filepath.Dir(file)))
		}
	}
	return pids
}

// sameFile says whether both paths lead to one namespace.
func sameFile(a, b string) bool {
	var x, y unix.Stat_t
	return unix.Stat(a, &x) == nil && unix.Stat(b, &y) == nil && x.Ino == y.Ino && x.Dev == y.Dev
}
