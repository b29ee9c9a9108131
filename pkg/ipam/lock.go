package ipam

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/filelock"
)

// lock takes the lock that every command on a network holds from its first look to its last write: flock(2), exclusively, on the
// file that the reference locks, so that both exclude each other. The lock ends with the file.
func lock(ctx context.Context, file *os.File) error {
	fd := int(file.Fd())
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
		return lockError(file, err)
	}
	err := filelock.Wait(ctx, func() error { return unix.Flock(fd, unix.LOCK_EX) }, func() {}) // given up, the lock goes with the closed file
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", file.Name(), context.Canceled)
	case errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.TryLater, "look what that process waits for", "%s: locked by %s", file.Name(), lockHolder(file))
	}
	return lockError(file, err)
}

func lockError(file *os.File, err error) error {
	if err != nil {
		return fmt.Errorf("%s: lock: %w", file.Name(), err)
	}
	return nil
}

// lockHolder names the process that holds the lock, from /proc/locks (proc_locks(5)). The kernel hides those of other pid
// namespaces.
func lockHolder(file *os.File) string {
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		return "an unknown process"
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return "an unknown process"
	}
	defer locks.Close()
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		// 1: FLOCK ADVISORY WRITE 1234 fe:00:5678 0 EOF; a line of a waiting process has "->" in the second place.
		f := strings.Fields(lines.Text())
		if len(f) < 6 || f[1] != "FLOCK" || !strings.HasSuffix(f[5], ":"+strconv.FormatUint(stat.Ino, 10)) {
			continue
		}
		if pid, err := strconv.Atoi(f[4]); err == nil && pid > 0 {
			comm, _ := os.ReadFile("/proc/" + f[4] + "/comm")
			return strings.TrimSpace(fmt.Sprintf("process %d %s", pid, strings.TrimSpace(string(comm))))
		}
	}
	return "an unknown process"
}
