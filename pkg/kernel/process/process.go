// Package process runs programs, and ends them with all that they have started.
package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Within is the variable by which a process knows that a plugin of ours has called it. What it runs stays in the group that was made for it, and ends with
// that: a group of its own would be left when that is killed.
const Within = "TRESTLE_CALLERS"

// Run runs the command, whose context it is. When that ends, the program and all that it has started are asked to end by the signal; they are killed after
// the wait, or when nobody is there any more who could answer. Who ends well in time, and leaves somebody behind who keeps its output
// open, is not waited for longer than that either: it has said what it had to say, and who is left is meant to stay.
//
// That this process is killed ends nothing: the program may be about what is best finished (a DEL), and the kernel takes the end of a thread for that of
// its process (PR_SET_PDEATHSIG).
func Run(ctx context.Context, cmd *exec.Cmd, ask syscall.Signal, wait time.Duration) error {
	signal := Group(cmd)
	cmd.Cancel, cmd.WaitDelay = func() error { return signal(ask) }, wait
	err := cmd.Run()
	if ctx.Err() == nil && errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	if ctx.Err() != nil && err != nil && cmd.Process != nil {
		_ = signal(syscall.SIGKILL) // there may be nobody
	}
	return err
}

// Group has the command, which is not yet begun, run in a process group of its own. It returns by what this gets a signal. Within another call the
// signal is the program's alone.
func Group(cmd *exec.Cmd) (signal func(syscall.Signal) error) {
	if os.Getenv(Within) != "" {
		return func(sig syscall.Signal) error { return cmd.Process.Signal(sig) }
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return func(sig syscall.Signal) error {
		err := syscall.Kill(-cmd.Process.Pid, sig)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
}
