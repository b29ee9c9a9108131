package process

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/test/slack"
)

// TestRun: when the context ends, what a program has started ends with it, however deaf, and whether the program itself hears or not.
func TestRun(t *testing.T) {
	for name, script := range map[string]string{
		"the child is deaf":        `(trap '' TERM; exec sleep 1000 >"$1") & wait`,
		"the child has its output": `(trap '' TERM; exec sleep 1000 3>"$1") & wait`,
		"both are deaf":            `trap '' TERM; sleep 1000 >"$1"; sleep 1000`,
		"the child's child":        `sh -c 'sh -c "exec sleep 1000" >"$0"; :' "$1"; :`,
		"it says that it ends":     `trap 'exit 3' TERM; (trap '' TERM; exec sleep 1000 3>"$1") & wait`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			pipe := fifo(t)
			ended := make(chan struct{})
			go func() {
				_, _ = os.ReadFile(pipe) // ends as soon as nobody has it open any more
				close(ended)
			}()
			go func() {
				defer cancel()
				file, _ := os.OpenFile(pipe, os.O_RDONLY, 0) // waits for who writes
				defer file.Close()
			}()
			cmd := exec.CommandContext(ctx, "sh", "-c", script, "sh", pipe)
			cmd.Stdout = &bytes.Buffer{}
			if err := Run(ctx, cmd, syscall.SIGTERM, 100*time.Millisecond); err == nil {
				t.Error("no error")
			}
			within(t, ended, "its child lives on")
		})
	}
}

// TestStays: who ends well has said what it had to say, and whom it left lives on.
func TestStays(t *testing.T) {
	pipe := fifo(t)
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `cat "$1" & echo done`, "sh", pipe)
	cmd.Stdout = &out
	if err := Run(t.Context(), cmd, syscall.SIGTERM, 100*time.Millisecond); err != nil || out.String() != "done\n" {
		t.Errorf("%v, %q", err, out.String())
	}
	read := make(chan struct{})
	go func() {
		_ = os.WriteFile(pipe, nil, 0) // waits for who reads
		close(read)
	}()
	within(t, read, "its child does not read")
}

// TestInner: what is run within a call stays in the group that was made for this.
func TestInner(t *testing.T) {
	t.Setenv(Within, "bridge")
	cmd := exec.CommandContext(t.Context(), "true")
	if Group(cmd); cmd.SysProcAttr != nil {
		t.Errorf("got %+v", cmd.SysProcAttr)
	}
	if err := Run(t.Context(), cmd, syscall.SIGTERM, time.Second); err != nil {
		t.Error(err)
	}
}

func fifo(t *testing.T) string {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	return pipe
}

func within(t *testing.T, event chan struct{}, otherwise string) {
	t.Helper()
	select {
	case <-event:
	case <-time.After(slack.Of(5 * time.Second)):
		t.Error(otherwise)
	}
}
