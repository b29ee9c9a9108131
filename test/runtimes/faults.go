package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// conflict: a port that another pod publishes is refused with an error that names it, and the other goes on.
func conflict(t *Trial) error {
	p, err := t.pod(18081)
	if err != nil {
		return err
	}
	reach := func() error {
		return eventually(func() error { return asks(outside, "tcp", host4+":18081", p.Name+" sees "+outside4) })
	}
	return errors.Join(reach(), t.refused(18081, "18081"), reach())
}

// crowd is eight pods at once, or with TRESTLE_LONG twice as many: started, reached, and removed.
func crowd(t *Trial) error {
	many := 8
	if os.Getenv("TRESTLE_LONG") != "" {
		many = 16
	}
	pods := make([]*Pod, many)
	for i := range pods {
		t.made++
		pods[i] = &Pod{Name: fmt.Sprintf("pod%d", t.made), Host: t.port(uint16(18100 + i))}
	}
	t.pods = append(t.pods, pods...)
	if err := together(pods, t.Run); err != nil {
		return err
	}
	if err := together(pods, serving); err != nil {
		return err
	}
	if err := together(pods, t.Stop); err != nil {
		return err
	}
	err := together(pods, t.Remove)
	if err == nil {
		t.pods = nil
	}
	return err
}

// together does something with all pods at once.
func together(pods []*Pod, f func(*Pod) error) error {
	errs := make([]error, len(pods))
	var all sync.WaitGroup
	for i, p := range pods {
		all.Go(func() { errs[i] = f(p) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// restart: the daemon goes and comes back while pods run; they go on, a new one joins them, and all can be removed.
func restart(t *Trial) error {
	old, err := t.pod(t.port(18082))
	if err != nil {
		return err
	}
	if err := errors.Join(serving(old), t.Quit(), serving(old), t.Start()); err != nil {
		return err
	}
	young, err := t.pod(0)
	if err != nil {
		return err
	}
	return errors.Join(serving(old), serving(young), t.gone(old), t.gone(young))
}

// vanished: everything in a pod is killed and its namespace goes, as in a crash, before the runtime is told to stop it.
func vanished(t *Trial) error {
	p, err := t.pod(t.port(18083))
	if err != nil {
		return err
	}
	if err := serving(p); err != nil {
		return err
	}
	if err := vanish(p); err != nil {
		return err
	}
	t.Stop(p) // it may be content, or complain that nothing is there to stop
	return t.forget(p)
}

// vanish takes the namespace's names away and kills everybody in it.
func vanish(p *Pod) error {
	namespace, err := p.namespace()
	if err != nil {
		return err
	}
	names, _ := filepath.Glob(netns + "/*")
	for _, name := range names {
		if sameFile(name, namespace) {
			if err := errors.Join(unix.Unmount(name, unix.MNT_DETACH), os.Remove(name)); err != nil {
				return err
			}
		}
	}
	p.killed = true
	var inside []int
	own, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	for _, other := range own {
		var pid int
		if _, err := fmt.Sscanf(other, "/proc/%d/", &pid); err == nil && sameFile(other, namespace) {
			inside = append(inside, pid)
		}
	}
	for _, pid := range inside {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return eventually(func() error {
		if p.process() != "" {
			return fmt.Errorf("%s: still running", p.Name)
		}
		return nil
	})
}

// failing: the chain's last plugin fails when it has done its work. The pod does not start, the runtime says why, and nothing is left.
func failing(last string) func(*Trial) error {
	return func(t *Trial) error {
		if err := spoil("ADD", last); err != nil {
			return err
		}
		return errors.Join(t.refused(t.port(18084), last+": made to fail"), unspoil("ADD", last))
	}
}

// retried: a DEL fails, and the runtime does it again, by itself or when it is told to.
func retried(t *Trial) error {
	p, err := t.pod(t.port(18085))
	if err != nil {
		return err
	}
	if err := spoil("DEL", "bridge"); err != nil {
		return err
	}
	first := t.Stop(p)
	if err := unspoil("DEL", "bridge"); err != nil {
		return err
	}
	if first != nil && !strings.Contains(first.Error(), "bridge: made to fail") {
		return fmt.Errorf("the error does not say why: %w", first)
	}
	return t.gone(p)
}

// orders: pods are stopped and removed in every order, removed while they run, and stopped twice.
func orders(t *Trial) error {
	for _, order := range []string{"stop a stop b remove a remove b", "stop a remove a stop b remove b", "stop b stop a remove a remove b",
		"remove a remove b", "stop a remove b remove a", "stop a stop a remove a stop b remove b"} {
		before, err := state()
		if err != nil {
			return err
		}
		a, err1 := t.pod(t.port(18086))
		b, err2 := t.pod(0)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		pods := map[string]*Pod{"a": a, "b": b}
		words := strings.Fields(order)
		for i := 0; i < len(words); i += 2 {
			do := map[string]func(*Pod) error{"stop": t.Stop, "remove": t.forget}[words[i]]
			if err := do(pods[words[i+1]]); err != nil {
				return fmt.Errorf("%s: %s: %w", order, words[i], err)
			}
		}
		if err := left(before, t.settling()); err != nil {
			return fmt.Errorf("%s: %w", order, err)
		}
	}
	return nil
}

// unrepeated: a DEL fails in a runtime that does not do it again; buildah 1.28 even panics. What is left goes with a GC.
func unrepeated(t *Trial) error {
	before, err := state()
	if err != nil {
		return err
	}
	p, err := t.pod(t.port(18085))
	if err != nil {
		return err
	}
	if err := spoil("DEL", "bridge"); err != nil {
		return err
	}
	t.Stop(p) // whether it says something is its own affair
	return errors.Join(unspoil("DEL", "bridge"), t.forget(p), t.collect(before))
}
