package site

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/nstest"
)

// A container that is asked for nothing costs no socket in its namespace; the first question opens it there, also one that is asked in the midst of Do.
func TestContainerIsOpenedLater(t *testing.T) {
	nstest.Run(t, func(t *testing.T) {
		path := nstest.Namespace(t, "c")
		for name, ask := range map[string]func(*Side) error{
			"a question": func(s *Side) error { _, err := s.LinkByName("lo"); return err },
			"within Do": func(s *Side) error {
				return s.Do(func() error {
					before := inode(t)
					_, err := s.LinkByName("lo")
					if inode(t) != before {
						t.Error("the question took the thread out of the namespace")
					}
					return err
				})
			},
		} {
			host := inode(t)
			file, err := os.Open(path)
			must(t, err)
			s, err := Open(Options{Netns: path, Opened: int(file.Fd()), Run: t.TempDir()})
			must(t, err)
			must(t, file.Close())
			before := sockets(t)
			if err := ask(s.Container); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if got := sockets(t) - before; got != 1 {
				t.Errorf("%s: %d sockets were opened, want one", name, got)
			}
			if inode(t) != host {
				t.Errorf("%s: the thread is not at home", name)
			}
			s.Close()
			if _, err := s.Container.LinkByName("other"); err == nil {
				t.Errorf("%s: closed, and yet it answers", name)
			}
		}
	})
}

// inode is that of the thread's network namespace.
func inode(t *testing.T) uint64 {
	t.Helper()
	var stat unix.Stat_t
	must(t, unix.Stat("/proc/thread-self/ns/net", &stat))
	return stat.Ino
}

// sockets counts those that the process has open.
func sockets(t *testing.T) (count int) {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	for _, fd := range open {
		if to, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.HasPrefix(to, "socket:") {
			count++
		}
	}
	return count
}
