package ipam

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/procfile"
)

// unknownBoot is the boot's name where the kernel does not say it.
var unknownBoot [16]byte

// bootID returns the kernel's name of this boot, random(4).
func bootID() (id [16]byte, err error) {
	text, err := procfile.Read("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return id, err
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(string(text)), "-", ""))
	if err != nil || len(raw) != len(id) {
		return id, fmt.Errorf("boot id: %q: not one", text)
	}
	return [16]byte(raw), nil
}

// uptime is the time since the boot, suspensions included, that no change of the clock changes.
func uptime() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) // it cannot fail
	return time.Duration(now.Nano())
}
