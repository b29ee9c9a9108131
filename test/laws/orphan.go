package laws

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/slack"
)

// Waiting is the name, less the path of a socket, of the rewrite that Wait is for.
const Waiting = "wait at "

// promptly is how long is waited for what should happen at once.
func promptly() time.Time { return time.Now().Add(slack.Of(20 * time.Second)) }

// Wait connects to the socket and returns when it has read a byte. The connection ends with the process.
func Wait(socket string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: socket})
	}
	if err != nil {
		return fmt.Errorf("%s: %w", socket, err)
	}
	_, err = unix.Read(fd, make([]byte, 1))
	return err
}

// Orphan is law 6 for the time in which a plugin has its IPAM plugin at work: when the plugin is killed, the IPAM plugin must not go on
// and reserve an address after the DEL, which no later DEL would release.
func Orphan(w *World) error {
	if err := w.prime(); err != nil {
		return err
	}
	before := w.snapshot()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: filepath.Join(w.TempDir(), "socket")})
	if err != nil {
		return err
	}
	defer listener.Close()
	delegate, err := w.killedWaiting(listener)
	if err != nil {
		return err
	}
	defer delegate.Close()
	if err := w.del(w.inProcess, call{of: w.one}); err != nil {
		return err
	}
	_, _ = delegate.Write([]byte("\n")) // go on, if you can: it should be dead
	_, _ = io.Copy(io.Discard, delegate)
	return w.same(before, "SIGKILL with the IPAM plugin at work, and DEL")
}

// killedWaiting adds the container by the first plugin, whose IPAM plugin waits, and kills the plugin meanwhile. It returns the connection
// to the IPAM plugin.
func (w *World) killedWaiting(listener *net.UnixListener) (*net.UnixConn, error) {
	add := call{verb: "ADD", of: w.one}
	cmd, err := w.withDelegate(add, Waiting+listener.Addr().String())
	if err != nil {
		return nil, err
	}
	if err := errors.Join(listener.SetDeadline(promptly()), cmd.Start()); err != nil {
		return nil, err
	}
	delegate, err := listener.AcceptUnix()
	err = errors.Join(err, cmd.Process.Kill())
	_ = cmd.Wait() // says that it was killed
	if err == nil {
		err = delegate.SetDeadline(promptly())
	}
	return delegate, err
}

// withDelegate is the built plugin with the caller's program, rewritten, as its IPAM plugin.
func (w *World) withDelegate(c call, rewrite string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	config, err := w.stdin(c)
	if err != nil {
		return nil, err
	}
	env, dir := w.environment(c), w.TempDir()
	env["CNI_PATH"] = dir
	cmd := w.built(c)
	cmd.Env = w.Program(ipam, rewrite).Env
	for key, value := range env {
		cmd.Env = append(cmd.Env, key+"="+value)
	}
	cmd.Stdin = bytes.NewReader(config)
	return cmd, os.Symlink(self, filepath.Join(dir, ipam))
}

// ipam is the IPAM plugin of Orphan's network.
const ipam = "host-local"
