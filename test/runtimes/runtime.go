package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Runtime is what the checks know of a container runtime.
type Runtime interface {
	// Start makes it ready to run pods: its files, its daemon if it has one, the image.
	Start() error
	// Quit ends the daemon and leaves the pods running.
	Quit() error
	// Run starts a pod with one server in it; its error is in the runtime's words.
	Run(*Pod) error
	// Stop ends the pod's processes and takes it off the network.
	Stop(*Pod) error
	// Remove makes the runtime forget the pod, which may be running.
	Remove(*Pod) error
}

// Pod is a container, or what Kubernetes calls so, that serves on port 8080 of tcp and udp.
type Pod struct {
	Name string
	Host uint16 // the host's port that leads to it, both protocols; 0 for none
	id   string // the runtime's

	Address string // that it asks for; "" for any

	Annotations map[string]string // Kubernetes' own, where the runtime has them

	app *exec.Cmd     // runtimes that stay in the foreground
	out *bytes.Buffer // what that one said
	end chan error

	killed bool // by the check: what stays in the foreground ends with the container's status
}

// Trait is what a runtime can and another cannot.
type Trait int

// What checks may need of a runtime.
const (
	Daemon  Trait = 1 << iota // something that can be restarted
	Ports                     // publishes ports
	Redo                      // repeats a DEL that failed
	Verify                    // can ask for CHECK and GC
	Status                    // asks for STATUS
	Node                      // has a node's condition, and loopback
	Own                       // writes networks of its own
	Silent                    // sends no DEL where the namespace's name has gone
	Adopt                     // the plugins have the tool, which can take over from the reference
	Early                     // reads no conflist of 1.1.0
	Mapper                    // publishes ports without portmap
	Wary                      // asks for CHECK after each ADD, and for STATUS and GC when it starts
	Compose                   // starts what a compose file describes
	Traced                    // sends its spans to a collector
	Strict                    // does nothing while any list is broken
)

// program runs a program and returns its output. The error has what it said last, since that is the runtime's own word.
func program(name string, arguments ...string) (string, error) {
	cmd := exec.Command(name, arguments...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w: %s", strings.Join(append([]string{name}, arguments...), " "), err, bytes.TrimSpace(out))
	}
	return string(out), nil
}

// background starts a program that stays until its pod ends, and returns when the pod's server is there or the program has ended.
func (p *Pod) background(cmd *exec.Cmd) error {
	p.app, p.out, p.end = cmd, new(bytes.Buffer), make(chan error, 1)
	cmd.Stdout, cmd.Stderr = p.out, p.out
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { p.end <- cmd.Wait() }()
	limit := patience()
	for deadline := time.After(limit); ; {
		select {
		case err := <-p.end:
			p.end = nil
			return fmt.Errorf("%s: %v: %s", cmd.Args[0], err, bytes.TrimSpace(p.out.Bytes()))
		case <-deadline:
			return fmt.Errorf("%s: no server after %v", cmd.Args[0], limit)
		case <-time.After(10 * time.Millisecond): // nobody tells when a container runs
			if p.process() != "" {
				return nil
			}
		}
	}
}

// ended waits for the program that background started.
func (p *Pod) ended() error {
	if p.end == nil {
		return nil
	}
	limit := patience()
	select {
	case err := <-p.end:
		p.end = nil
		if err != nil && !p.killed {
			return fmt.Errorf("%s: %v: %s", p.app.Args[0], err, bytes.TrimSpace(p.out.Bytes()))
		}
		return nil
	case <-time.After(limit):
		return fmt.Errorf("%s: did not end in %v", p.app.Args[0], limit)
	}
}

// process returns the process ID of the pod's server, "" while there is none.
func (p *Pod) process() string {
	if pids := processes("/app", "serve", p.Name); len(pids) > 0 {
		return pids[0]
	}
	return ""
}

// namespace returns a path to the pod's network namespace, which is valid while the pod runs, once its server listens (port 8080 is 1F90 there).
func (p *Pod) namespace() (path string, err error) {
	err = eventually(func() error {
		pid := p.process()
		if pid == "" {
			return fmt.Errorf("%s: no such container is running", p.Name)
		}
		if sockets, err := os.ReadFile("/proc/" + pid + "/net/udp6"); err != nil || !bytes.Contains(sockets, []byte(":1F90 ")) {
			return fmt.Errorf("%s: its server does not listen", p.Name)
		}
		path = "/proc/" + pid + "/ns/net"
		return nil
	})
	return path, err
}

// write is a configuration file of a runtime.
func write(path, content string) error {
	return os.WriteFile(path, []byte(content), 0o644)
}
