package trace

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/netns"
	"github.com/trestle-cni/trestle/pkg/kernel/rtnl"
)

// entry is a way into a network namespace: a thread that goes in and never comes out, and sockets that were opened there.
type entry struct {
	*netlink.Handle
	conn *rtnl.Conn
	file *os.File // the namespace
	work chan func()
}

// enter opens the namespace of that number. For that of the calling thread no right is needed.
func enter(path string, number uint64, here bool) (*entry, error) {
	file, err := netns.Open(path, number)
	if err != nil {
		return nil, err
	}
	e := &entry{file: file, work: make(chan func())}
	ready := make(chan error)
	if here {
		go e.serve(nil, ready)
	} else {
		go e.serve(func() error { return unix.Setns(int(file.Fd()), unix.CLONE_NEWNET) }, ready)
	}
	if err = <-ready; err == nil {
		err = e.do(e.open)
	}
	if err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

// serve runs what do asks for. The thread ends with it, so that nothing else runs in another namespace.
func (e *entry) serve(goIn func() error, ready chan<- error) {
	if goIn != nil {
		runtime.LockOSThread()
		ready <- goIn()
	} else {
		ready <- nil
	}
	for f := range e.work {
		f()
	}
}

func (e *entry) open() (err error) {
	if e.Handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return err
	}
	e.conn, err = rtnl.Open()
	return err
}

// do runs f in the namespace.
func (e *entry) do(f func() error) error {
	result := make(chan error)
	e.work <- func() { result <- f() }
	return <-result
}

func (e *entry) close() {
	close(e.work)
	if e.Handle != nil {
		e.Handle.Close()
	}
	if e.conn != nil {
		e.conn.Close()
	}
	e.file.Close()
}

// sysctl returns the value of a key below /proc/sys/net, and false where the kernel has no such key.
func (e *entry) sysctl(key string) (value string, known bool) {
	err := e.do(func() error {
		text, err := os.ReadFile("/proc/sys/net/" + key)
		value = strings.TrimSpace(string(text))
		return err
	})
	return value, err == nil || !errors.Is(err, fs.ErrNotExist)
}
