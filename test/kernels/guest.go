package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/space"
)

// guest is process 1 of the guest: it makes a host of the machine, and buries whoever is left to it while another carries out requests.
func guest() error {
	os.Setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	if err := furnish(); err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe", "work")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	for {
		pid, err := unix.Wait4(-1, nil, 0, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if pid == cmd.Process.Pid {
			return errors.New("the worker ended")
		}
	}
}

// mounts are a host's, beside its root; files of tests are on a disk.
var mounts = []struct{ what, kind, dir, options string }{
	{"proc", "proc", "/proc", ""}, {"sysfs", "sysfs", "/sys", ""}, {"dev", "devtmpfs", "/dev", ""}, {"pts", "devpts", "/dev/pts", "mode=620,ptmxmode=666"},
	{"shm", "tmpfs", "/dev/shm", ""}, {"cgroup", "cgroup2", "/sys/fs/cgroup", ""}, {"run", "tmpfs", "/run", "mode=755"},
	{"/dev/vda", "ext4", disk, ""},
}

// disk is where the guest has its disk.
const disk = "/disk"

func furnish() error {
	if _, err := run("modprobe", "--all", "virtio_blk", "ext4", "br_netfilter", "tun"); err != nil { // the last two as hosts have them
		return err
	}
	_, _ = run("modprobe", "--all", "iptable_filter", "ip6table_filter") // as hosts of iptables-legacy have them; a kernel may be without
	for _, m := range mounts {
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.what, m.dir, m.kind, 0, m.options); err != nil {
			return fmt.Errorf("%s: %w", m.dir, err)
		}
	}
	for name, target := range map[string]string{"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"} {
		if err := os.Symlink("/proc/self/fd"+target, filepath.Join("/dev", name)); err != nil {
			return err
		}
	}
	limit := unix.Rlimit{Cur: 1 << 16, Max: 1 << 16}
	return errors.Join(os.MkdirAll("/etc/cni", 0o755), os.Mkdir(disk+"/tmp", 0o1777), unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
}

// work carries out requests, one at a time, as long as the machine runs.
func work() error {
	line, err := os.OpenFile(wire, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := raw(int(line.Fd())); err != nil {
		return fmt.Errorf("%s: %w", wire, err)
	}
	answers, requests := json.NewEncoder(line), json.NewDecoder(line)
	if err := answers.Encode(reply{Ended: true}); err != nil { // the machine is up
		return err
	}
	for {
		var r request
		if err := requests.Decode(&r); err != nil {
			return err
		}
		if err := answers.Encode(carryOut(r, answers)); err != nil {
			return err
		}
	}
}

// carryOut runs the program. Whoever still has its output open when it has ended is waited for no longer than a test's own patience.
func carryOut(r request, answers *json.Encoder) reply {
	cmd := exec.Command(r.Args[0], r.Args[1:]...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = r.Dir, append(r.Env, "TMPDIR="+disk+"/tmp", space.Disk+"="+disk, space.Slow+"=1"), 10*time.Second
	cmd.Stdout = parts{answers}
	cmd.Stderr = cmd.Stdout
	err := cmd.Run()
	var failed *exec.ExitError
	switch {
	case err == nil:
		return reply{Ended: true}
	case errors.As(err, &failed):
		return reply{Ended: true, Status: failed.ExitCode() & 0xff}
	}
	return reply{Ended: true, Failed: err.Error()}
}

// parts sends what is written in replies.
type parts struct{ *json.Encoder }

func (p parts) Write(b []byte) (int, error) { return len(b), p.Encode(reply{Out: b}) }

// raw makes a terminal pass on bytes as they are.
func raw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B115200
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}
