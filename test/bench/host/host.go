// Package host is one host of a comparison: a process in namespaces of its own that does what a container runtime does, on order. All that
// it is told comes over its standard input (net/rpc), so the one who measures sits outside and lets one host work after the other.
package host

import (
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/trestle-cni/trestle/test/space"
)

// marker is in the environment of the process that is a host.
const marker = "BENCH_HOST"

// Order is a number of calls of one verb, each for another pod.
type Order struct {
	Verb     string   // ADD, CHECK, DEL, or MIX for DELs of the first half and ADDs of the second by turns; a driver may have others
	Driver   string   // Floor, Inside, Program, or empty: the plugins of Dir through libcni
	Dir      string   // where the plugins are; for Program that program
	Conflist []byte   // of the network
	Mappings Mappings // what each pod publishes
	First    int      // the first pod's number
	Count    int      // of calls
	Parallel int      // so many at once
	Of       string   // the plugin whose time counts alone; empty: that of the whole call
	Trace    bool     // count programs started, by strace(1): not to be timed
}

// Mappings are the ports that each pod publishes.
type Mappings struct {
	Count    int    // of ports a pod
	Protocol string // tcp, udp, or both for each port with either
}

// firstPort is the first pod's first host port, and containerPort what it leads to.
const (
	firstPort     = 1024
	containerPort = 80
)

// HostPort is the number of a pod's port on the host. A pod has the same number of ports as every other one.
func (m Mappings) HostPort(pod, port int) int {
	return firstPort + (pod*m.Count+port)%(1<<16-firstPort)
}

// Outcome is what became of an order.
type Outcome struct {
	Seen   []time.Duration // what each call took, as the runtime sees it, in the order in which they ended
	Within []time.Duration // of that, from the start of the first plugin to the end of the last one, without what libcni does between
	Wall   time.Duration   // of all
	CPU    time.Duration   // of the processes started, and theirs
	Execs  int             // programs started, where traced
	Failed int             // calls
	Error  string          // of the first that failed
}

// Host is a running host.
type Host struct {
	process *exec.Cmd
	client  *rpc.Client
}

// Start starts a host: this very program again, whose main must call Serve first. An ordinary user's has a user namespace, too.
func Start() (*Host, error) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), marker+"=1", "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	cmd.SysProcAttr = space.Attributes(os.Getuid() != 0)
	cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWPID // for a /proc of its own, see Serve
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		return nil, fmt.Errorf("a host in namespaces of its own: %w", err)
	}
	return &Host{cmd, rpc.NewClient(pipe{out, in})}, nil
}

// Do has an order carried out.
func (h *Host) Do(o Order) (Outcome, error) {
	var out Outcome
	err := h.client.Call("Server.Do", o, &out)
	return out, err
}

// Pods sees to it that there are so many containers, by their network namespaces. It is not part of what is measured.
func (h *Host) Pods(count int) error { return h.client.Call("Server.Pods", count, new(int)) }

// Close ends the host. The kernel removes what it had, and takes its time.
func (h *Host) Close() error {
	return errors.Join(h.client.Close(), h.process.Wait())
}

// pipe is the two directions of a connection.
type pipe struct {
	io.ReadCloser
	io.Writer
}

// Close closes both.
func (p pipe) Close() error {
	if w, ok := p.Writer.(io.Closer); ok {
		return errors.Join(w.Close(), p.ReadCloser.Close())
	}
	return p.ReadCloser.Close()
}
