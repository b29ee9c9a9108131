package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Where everything is on a private host.
const (
	confDir = "/etc/cni/net.d"
	binDir  = "/opt/cni/bin"
	topDir  = "/opt/cni"     // the recorder's: real, calls, fail
	debian  = "/usr/lib/cni" // where Debian's ctr looks, too, whatever it is told
	spare   = "/opt/debian"  // so what was there is here, for firewall and tuning
	netns   = "/run/netns"
	cgroup  = "trestle-runtimes" // the one control group below which runtimes make theirs
)

// private are the directories that a private host has of its own, empty at first.
var private = []string{"/run", "/var/lib", "/etc/cni", "/etc/containers", "/opt", "/dev/shm"}

// inside runs this program once more as a host of its own: network, mount, pid, IPC and host name. The child's end ends every process that
// it started, daemons too, and its mounts go with it; so does the context's end.
func inside(ctx context.Context, out io.Writer, arguments ...string) error {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append([]string{"init"}, arguments...)...)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
	}
	runtime.LockOSThread() // Pdeathsig is sent when the thread that forked ends
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	return errors.Join(err, context.Cause(ctx))
}

// first is the private host's process 1: it makes the host's ground, starts what the host is for, and buries whoever is left to it.
func first(arguments []string) (int, error) {
	if err := ground(); err != nil {
		return 1, err
	}
	cmd := exec.Command("/proc/self/exe", append([]string{"host"}, arguments...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "HOME=/run/home", "TMPDIR=/run/tmp", "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 1, err
		case pid == cmd.Process.Pid && status.Exited():
			return status.ExitStatus(), nil
		case pid == cmd.Process.Pid:
			return 1, fmt.Errorf("the host's program: %v", status.Signal())
		}
	}
}

// ground gives the host its mounts.
func ground() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("/proc: %w", err)
	}
	policy, policyErr := os.ReadFile("/etc/containers/policy.json")
	for _, dir := range private {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	for _, dir := range []string{"/run/home", "/run/tmp", netns, confDir, binDir, topDir + "/real", topDir + "/fail", topDir + "/hold", "/var/lib/cni"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := errors.Join(os.Mkdir(spare, 0o755), unix.Mount(debian, spare, "", unix.MS_BIND, ""), unix.Mount("tmpfs", debian, "tmpfs", 0, "")); err != nil {
		return fmt.Errorf("%s: %w", debian, err)
	}
	// A tmpfs of its own, so that a check can make it read-only.
	if err := unix.Mount("tmpfs", "/var/lib/cni", "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	if policyErr != nil {
		return policyErr
	}
	return os.WriteFile("/etc/containers/policy.json", policy, 0o644)
}

// furnish puts the plugins of a directory in place, behind recorders or, without one, as they are.
func furnish(plugins, recorder string) error {
	names, err := filepath.Glob(plugins + "/*")
	if err != nil || len(names) == 0 {
		return fmt.Errorf("%s: no plugins there: %w", plugins, err)
	}
	for _, name := range names {
		base := filepath.Base(name)
		if recorder == "" {
			err = copyFile(name, filepath.Join(binDir, base))
		} else {
			err = errors.Join(copyFile(name, filepath.Join(topDir, "real", base)), copyFile(recorder, filepath.Join(binDir, base)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o755)
}

// prune removes the control groups that runtimes made and left.
func prune() {
	tops, _ := filepath.Glob("/sys/fs/cgroup/*/" + cgroup)
	for _, top := range append(tops, "/sys/fs/cgroup/"+cgroup) {
		var dirs []string
		filepath.WalkDir(top, func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for i := len(dirs) - 1; i >= 0; i-- {
			os.Remove(dirs[i])
		}
	}
}
