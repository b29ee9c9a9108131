package budget

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/process"
)

// Output runs the program and returns what it prints. It ends where it prints, or works, for more than there is.
func (b *Budget) Output(cmd *exec.Cmd) ([]byte, error) {
	signal := process.Group(cmd)
	if cmd.Cancel != nil { // it has a context
		cmd.Cancel = func() error { return signal(unix.SIGKILL) }
	}
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	if b != nil {
		seconds := uint64(Time.Seconds())
		_ = unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_CPU, &unix.Rlimit{Cur: seconds, Max: seconds + 1}, nil) // it may have ended
	}
	out, over := b.drain(pipe)
	if over != nil {
		_ = signal(unix.SIGKILL) // it may have ended
	}
	err = cmd.Wait()
	switch {
	case over != nil:
		return nil, over
	case b != nil && outOfTime(cmd.ProcessState):
		return nil, errTime
	}
	return out, err
}

// outOfTime says whether the kernel ended the program: first it asks, later it kills.
func outOfTime(p *os.ProcessState) bool {
	status, ok := p.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && (status.Signal() == unix.SIGXCPU || p.UserTime()+p.SystemTime() > Time)
}

func (b *Budget) drain(from io.Reader) ([]byte, error) {
	var out bytes.Buffer
	for {
		n, err := io.CopyN(&out, from, 32<<10)
		if over := b.Spend(int(n)); over != nil {
			return nil, over
		}
		if errors.Is(err, io.EOF) {
			return out.Bytes(), nil
		}
		if err != nil {
			return nil, err
		}
	}
}
