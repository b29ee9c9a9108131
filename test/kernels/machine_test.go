package main

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/test/slack"
)

// guestVar makes this test's program a machine that hangs: it takes what it is told by that socket, and does nothing. If it is to come up, it says so first.
const guestVar, upVar = "TRESTLE_TEST_LINE", "TRESTLE_TEST_UP"

func TestMain(m *testing.M) {
	if line := os.Getenv(guestVar); line != "" {
		hang(line)
	}
	os.Exit(m.Run())
}

func hang(line string) {
	conn, err := net.Dial("unix", line)
	if err == nil && os.Getenv(upVar) != "" {
		err = json.NewEncoder(conn).Encode(reply{Ended: true})
	}
	if err != nil {
		os.Exit(1)
	}
	_, _ = io.Copy(io.Discard, conn) // as long as it lives
	os.Exit(1)
}

// TestDeadline asks that a machine that hangs is ended, and whoever waits for it told: while it boots, and while it works.
func TestDeadline(t *testing.T) {
	t.Run("boots", func(t *testing.T) {
		m, err := hung(t, time.Second)
		if err == nil || !strings.Contains(err.Error(), "kernel linux-image-0.0: it does not come up") {
			t.Errorf("%v", err)
		}
		ended(t, m)
	})
	t.Run("works", func(t *testing.T) {
		m, err := hung(t, slack.Of(time.Second/4), upVar+"=1")
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv(deskVar, m.file("desk"))
		status, err := enter([]string{"true"})
		if status == 0 || err == nil || !strings.Contains(err.Error(), "the machine ended, or its time was over") {
			t.Errorf("status %d, %v", status, err)
		}
		ended(t, m)
	})
}

func hung(t *testing.T, deadline time.Duration, env ...string) (*machine, error) {
	t.Helper()
	m := &machine{kernel: Kernel{Package: "linux-image-0.0"}, dir: t.TempDir(), dead: make(chan struct{})}
	emulator := exec.Command("/proc/self/exe")
	emulator.Env = append(append(os.Environ(), guestVar+"="+m.file("line")), env...)
	return m, m.run(emulator, deadline)
}

func ended(t *testing.T, m *machine) {
	t.Helper()
	select {
	case <-m.dead:
	case <-time.After(slack.Of(10 * time.Second)):
		t.Error("the emulator lives")
	}
	if !m.ended() {
		t.Error("nobody is told that the emulator has ended")
	}
	if status, ok := m.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Errorf("it ended by itself: %v", m.cmd.ProcessState)
	}
}
