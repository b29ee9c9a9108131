package agent

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// breath is for how long reservations are left to gather before they are counted.
const breath = 50 * time.Millisecond

// listen wakes the agent when reservations come or go: inotify(7) on their directory.
func (a *Agent) listen(ctx context.Context) error {
	dir := a.Ledger.Books()
	fail := func(err error) error {
		return fault.New(fault.IO, "is fs.inotify.max_user_instances used up, or dataDir no directory?", "reservations: %s: watch: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fail(err)
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fail(err)
	}
	file := os.NewFile(uintptr(fd), "inotify")
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_CREATE|unix.IN_DELETE|unix.IN_MOVED_TO|unix.IN_MOVED_FROM|unix.IN_ONLYDIR); err != nil {
		file.Close()
		return fail(err)
	}
	go func() {
		<-ctx.Done()
		file.Close()
	}()
	go func() {
		for events := make([]byte, 64<<10); ; {
			if _, err := file.Read(events); err != nil {
				return
			}
			Sleep(ctx, breath)
			Pull(a.pulled)
		}
	}()
	return nil
}
