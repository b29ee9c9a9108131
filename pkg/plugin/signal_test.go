package plugin

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/test/slack"
)

// A signal does not kill an ADD that waits for nothing, nor is one forgotten that comes while it waits. Children have the signals as always.
func TestSignals(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "DELEGATE=is signalled")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func signalled() int {
	ctx := interruptible("ADD")
	for _, s := range ending() {
		_ = syscall.Kill(os.Getpid(), s.(syscall.Signal))
	}
	if ctx.Err() != nil {
		fmt.Println("ended by a signal with nothing waited for")
		return 1
	}
	child := exec.CommandContext(ctx, "sh", "-c", "kill -TERM $$; exit 0")
	if err := child.Run(); err == nil {
		fmt.Println("a child ignores SIGTERM")
		return 1
	}
	if ctx.Err() != nil {
		fmt.Println("ended by a signal that came before it listened")
		return 1
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	select {
	case <-ctx.Done():
		return 0
	case <-time.After(slack.Of(time.Minute)):
		fmt.Println("not ended while it waited")
		return 1
	}
}
