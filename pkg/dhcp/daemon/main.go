package daemon

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/dhcp/folder"
)

// processors is how many the daemon uses at the most: it mostly waits, and each comes with threads.
const processors = 2

// Main runs the daemon as the process, with the flags of the reference's, and returns its exit status.
func Main(args []string, out io.Writer) int {
	log.SetOutput(out)
	log.SetFlags(0)
	runtime.GOMAXPROCS(min(runtime.GOMAXPROCS(0), processors))
	o, pidFile, err := flags(args, out)
	if err == nil {
		err = run(o, pidFile)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		log.Printf("dhcp daemon: %v", err)
		return 1
	}
	return 0
}

func flags(args []string, out io.Writer) (o Options, pidFile string, err error) {
	f := flag.NewFlagSet("dhcp daemon", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&pidFile, "pidfile", "", "file for the daemon's process ID")
	f.StringVar(&o.HostPrefix, "hostprefix", "", "where the host's root is: before the paths of the socket and of namespaces")
	f.StringVar(&o.Socket, "socketpath", folder.Socket, "the socket")
	f.BoolVar(&o.Broadcast, "broadcast", false, "ask servers to answer to everybody")
	f.DurationVar(&o.Patience, "timeout", 10*time.Second, "the longest wait for one answer of a server")
	resend := f.Duration("resendmax", 62*time.Second, "the longest time between two questions")
	f.DurationVar(&o.ResendTimeout, "resendtimeout", 208*time.Second, "how long is asked for a lease")
	f.DurationVar(&o.Idle, "idle", 0, "end after this time without a lease, if the socket is another's; 0: never")
	err = f.Parse(args)
	o.Patience = min(o.Patience, *resend)
	o.Socket = filepath.Join(o.HostPrefix, o.Socket)
	return o, pidFile, err
}

func run(o Options, pidFile string) error {
	listener, own, err := listen(o.Socket)
	if err != nil {
		return err
	}
	if own {
		o.Idle = 0 // nobody would start it again
	}
	if pidFile != "" {
		if err := os.WriteFile(pidFile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
			return fmt.Errorf("pidfile: %w", err)
		}
		defer os.Remove(pidFile)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, func() {
		if own { // before anybody can have another in its place
			os.Remove(o.Socket)
		}
		listener.Close()
	})
	d := New(ctx, o, stop)
	log.Printf("dhcp daemon: listens at %s, with %d leases", o.Socket, len(d.held))
	if err := d.Serve(listener); ctx.Err() == nil {
		return err
	}
	return nil
}

// listen takes the socket that systemd hands over (sd_listen_fds(3)), or makes one, in the place of one at which nobody listens any more.
func listen(path string) (l net.Listener, own bool, err error) {
	if os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) {
		if os.Getenv("LISTEN_FDS") != "1" {
			return nil, false, fmt.Errorf("systemd handed over %s sockets, want 1", os.Getenv("LISTEN_FDS"))
		}
		const first = 3
		unix.CloseOnExec(first)
		file := os.NewFile(first, path)
		defer file.Close()
		l, err := net.FileListener(file)
		return l, false, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, false, err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, false, err
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil { // of two that find one that nobody listens at, one takes its place
		return nil, false, fmt.Errorf("lock %s: %w", dir.Name(), err)
	}
	address := &net.UnixAddr{Name: path, Net: "unix"}
	if err := vacate(address); err != nil {
		return nil, false, err
	}
	unix.Umask(0o177)
	u, err := net.ListenUnix("unix", address)
	unix.Umask(0o077)
	if err != nil {
		return nil, false, err
	}
	u.SetUnlinkOnClose(false) // it is removed when all is done
	return u, true, nil
}

// vacate removes the socket of a daemon that was killed.
func vacate(address *net.UnixAddr) error {
	conn, err := net.DialUnix("unix", nil, address)
	switch {
	case err == nil:
		conn.Close()
		return fmt.Errorf("%s: a daemon is there already", address.Name)
	case errors.Is(err, unix.ECONNREFUSED):
		return os.Remove(address.Name)
	}
	return nil
}
