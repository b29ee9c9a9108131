package laws

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
)

// Calls is law 6 at a finer grain: the built plugins are killed by strace(1) at their system calls. A runtime repairs what it was at: with
// a DEL, or with the next GC.
func Calls(w *World) error {
	k, err := w.references()
	if err != nil {
		return err
	}
	for _, verb := range k.verbs() {
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
	return []string{"sendto", "sendmsg", "openat", "linkat", "renameat", "unlinkat", "write", "wait4,waitid"}
}

// sample is how many of a plugin's calls of one kind are tried in a short run. A thread counts its own.
const sample = 2

// systemCall kills at the first, second ... call of that name, until the plugin lives to its end.
func (k *killer) systemCall(verb string, member int, name string) error {
	for n := 1; k.Long || n <= sample; n++ {
		if err := k.prime(); err != nil {
			return err
		}
		whole, err := k.traced(verb, member, name, n)
		if err == nil {
			err = k.repaired(verb)
		}
		if err != nil {
			return fmt.Errorf("%s of %s killed at its %s number %d: %w", verb, k.Plugins[member].Type(), name, n, err)
		}
		if whole && n == 1 && name == "openat" { // which every program does
			return fmt.Errorf("%s of %s: strace killed nobody", verb, k.Plugins[member].Type())
		}
		if whole {
			return nil
		}
	}
	return nil
}

// repaired has the runtime go on after the kill.
func (k *killer) repaired(verb string) error {
	if verb == "GC" {
		if err := k.gc(); err != nil {
			return err
		}
		return k.same(k.swept, "GC")
	}
	if err := k.del(k.inProcess, call{of: k.one}); err != nil {
		return err
	}
	return sameShape(k.grounded, k.snapshot(), "DEL")
}

// traced carries out the calls up to the one to be killed. It says whether that one lived; that it failed is fine, as the one that was
// killed may have been its delegate.
func (k *killer) traced(verb string, member int, name string, n int) (bool, error) {
	lived := true
	err := k.upTo(verb, func(c call) ([]byte, error) {
		if c.verb != verb || c.member != member {
			return k.inProcess(c)
		}
		out, err := k.asProcess(c, exec.Command("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace="+name,
			"-e", "inject="+name+":signal=KILL:when="+strconv.Itoa(n), k.built(c).Path))
		lived = err == nil
		return out, err
	})
	var exit *exec.ExitError
	if err != nil && (lived || !errors.As(err, &exit)) {
		return false, err // not by our doing
	}
	return lived, nil
}
