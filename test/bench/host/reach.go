package host

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/test/peer"
	"github.com/trestle-cni/trestle/test/space"
)

// Flows are flows that begin outside the host, one after the other, through a port that a pod publishes.
type Flows struct {
	Network string // tcp or udp
	Pod     int
	Port    int // of the pod's, from 0
	Mappings
	Count int
}

// flowPatience is how long one may take.
const flowPatience = time.Second

// Reach has the pod answer at the flows' port, over tcp and udp, and the host joined with a world outside. A flow of each goes through
// before it returns, so that the neighbours know each other. It is not part of what is measured.
func (h *Host) Reach(f Flows) error { return h.client.Call("Server.Reach", f, new(int)) }

// Flows begins flows.
func (h *Host) Flows(f Flows) (Outcome, error) {
	var out Outcome
	err := h.client.Call("Server.Flows", f, &out)
	return out, err
}

// Reach is Host.Reach, in the host's process.
func (s *Server) Reach(f Flows, _ *int) error {
	if s.outside == "" {
		path, err := space.Make("outside")
		if err == nil {
			err = space.Uplink(path)
		}
		if err != nil {
			return fmt.Errorf("world outside: %w", err)
		}
		s.outside = path
		if err := pin(); err != nil {
			return fmt.Errorf("one processor for all flows: %w", err)
		}
	}
	for _, network := range []string{"tcp", "udp"} {
		err := space.In(s.pods[f.Pod], func() error {
			_, err := peer.Serve(fmt.Sprint("pod", f.Pod), network, fmt.Sprint(":", containerPort+f.Port)) // it ends with the host
			return err
		})
		f.Network, f.Count = network, 3
		var out Outcome
		if err := errors.Join(err, s.Flows(f, &out)); err != nil || len(out.Seen) == 0 {
			return errors.Join(err, fmt.Errorf("pod %d, port %d, %s: %s", f.Pod, f.Port, network, out.Error))
		}
	}
	return nil
}

// pin has all threads of the process run on one processor from now on, and those that they will start. Who asks and who answers are in this process:
// to wake one on another processor takes as long as all that is to be measured, and happens by chance.
func pin() error {
	var allowed, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return err
	}
	for cpu := 0; one.Count() == 0; cpu++ {
		if allowed.IsSet(cpu) {
			one.Set(cpu)
		}
	}
	threads, err := filepath.Glob("/proc/self/task/*")
	for _, thread := range threads {
		id, failed := strconv.Atoi(filepath.Base(thread))
		if failed == nil {
			failed = unix.SchedSetaffinity(id, &one)
		}
		if !errors.Is(failed, unix.ESRCH) { // it has ended
			err = errors.Join(err, failed)
		}
	}
	return err
}

// Flows is Host.Flows, in the host's process. Flows that fail are counted: a kernel that has more packets to take in than its processor's queue holds
// (net.core.netdev_max_backlog), for whatever namespace they are, drops any.
func (s *Server) Flows(f Flows, out *Outcome) error {
	to := fmt.Sprint("192.0.2.1:", f.HostPort(f.Pod, f.Port))
	return space.In(s.outside, func() error {
		began := time.Now()
		for left := f.Count; left > 0; left = f.Count - len(out.Seen) - out.Failed {
			seen, err := peer.Flows(f.Network, to, left, flowPatience)
			out.Seen = append(out.Seen, seen...)
			if err != nil {
				out.Failed, out.Error = out.Failed+1, err.Error()
			}
		}
		out.Wall = time.Since(began)
		return nil
	})
}
