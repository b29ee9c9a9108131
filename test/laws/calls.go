package laws

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
)

// Calls is law 6 at a finer grain: the built plugins are killed by strace(1) at their system calls.
func Calls(w *World) error {
	k, err := w.references()
	if err != nil {
		return err
	}
	for _, verb := range []string{"ADD", "DEL"} {
		for member := range w.Plugins {
			for _, name := range killing() {
				if err := k.systemCall(verb, member, name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// killing lists the system calls by which a plugin changes something, tells somebody, or prepares to.
func killing() []string {
	return []string{"sendto", "sendmsg", "openat", "linkat", "renameat", "unlinkat", "write", "flock", "wait4,waitid", "close"}
}

// sample is how many of a plugin's calls of one kind are tried in a short run. A thread counts its own.
const sample = 3

// systemCall kills at the first, second ... call of that name, until the plugin lives to its end.
func (k *killer) systemCall(verb string, member int, name string) error {
	for n := 1; k.Long || n <= sample; n++ {
		if err := k.prime(); err != nil {
			return err
		}
		before := k.snapshot()
		whole, err := k.traced(verb, member, name, n)
		if err != nil {
			return err
		}
		if err := k.del(k.inProcess, call{of: k.one}); err != nil {
			return err
		}
		if err := k.same(before, fmt.Sprintf("%s of %s killed at its %s number %d, and DEL", verb, k.Plugins[member].Type(), name, n)); err != nil {
			return err
		}
		if whole {
			return nil
		}
	}
	return nil
}

// traced carries out the calls up to the one to be killed. It says whether that one lived; that it failed is fine, as the one that was
// killed may have been its delegate.
func (k *killer) traced(verb string, member int, name string, n int) (bool, error) {
	lived := true
	deadly := func(c call) ([]byte, error) {
		if c.verb != verb || c.member != member {
			return k.inProcess(c)
		}
		plugin := k.built(c)
		out, err := k.asProcess(c, exec.Command("strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace="+name,
			"-e", "inject="+name+":signal=KILL:when="+strconv.Itoa(n), plugin.Path))
		lived = err == nil
		return out, err
	}
	result, err := k.add(deadly, k.one)
	if err == nil && verb == "DEL" {
		err = k.del(deadly, call{of: k.one, prev: result})
	}
	var exit *exec.ExitError
	if err != nil && (lived || !errors.As(err, &exit)) {
		return false, err // not by our doing
	}
	return lived, nil
}
