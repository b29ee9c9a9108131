package host

import (
	"errors"
	"fmt"
	"time"

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
const flowPatience = 5 * time.Second

// Reach has the pod answer at the flows' port, over tcp and udp, and the host joined with a world outside. One flow of each goes through
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
	}
	for _, network := range []string{"tcp", "udp"} {
		err := space.In(s.pods[f.Pod], func() error {
			_, err := peer.Serve(fmt.Sprint("pod", f.Pod), network, fmt.Sprint(":", containerPort+f.Port)) // it ends with the host
			return err
		})
		f.Network, f.Count = network, 1
		if err := errors.Join(err, s.Flows(f, new(Outcome))); err != nil {
			return fmt.Errorf("pod %d, port %d, %s: %w", f.Pod, f.Port, network, err)
		}
	}
	return nil
}

// Flows is Host.Flows, in the host's process.
func (s *Server) Flows(f Flows, out *Outcome) error {
	to := fmt.Sprint("192.0.2.1:", f.HostPort(f.Pod, f.Port))
	return space.In(s.outside, func() (err error) {
		began := time.Now()
		out.Seen, err = peer.Flows(f.Network, to, f.Count, flowPatience)
		out.Wall = time.Since(began)
		return err
	})
}
