package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// adoption: a node changes hands with pods running, from Debian's reference to these plugins and back. Traffic goes on, whoever made a pod it can be
// deleted, and the tool refuses to leave while pods are there that only it can delete.
func adoption(t *Trial) error {
	real, ours := filepath.Join(topDir, "real"), filepath.Join(topDir, "ours")
	if err := errors.Join(os.Rename(real, ours), os.CopyFS(real, os.DirFS(spare))); err != nil {
		return err
	}
	before, err := state()
	if err != nil {
		return err
	}
	tool := func(verb string, more ...string) error {
		_, err := program(filepath.Join(ours, "trestle"), append([]string{verb, "--bin-dir", real}, more...)...)
		return err
	}
	err = errors.Join(t.adopted(before, func() error { return tool("install", "--replace") }), t.returned(func() error { return tool("uninstall") }))
	if err := errors.Join(err, os.RemoveAll(real), os.Rename(ours, real)); err != nil {
		return err
	}
	// What the reference leaves of itself, its bridge and tables, is no business of the next check's, which begins on our ground.
	program("ip", "link", "delete", "cni0")
	program("nft", "delete", "table", "ip", "nat")
	program("nft", "delete", "table", "ip6", "nat")
	return started(t)
}

func (t *Trial) adopted(before string, install func() error) error {
	port := t.port(18090)
	old, err1 := t.pod(port)
	other, err2 := t.pod(0)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("by the reference: %w", err)
	}
	if err := errors.Join(serving(old), install(), serving(old), t.reached(old), t.again(old), serving(old), t.reached(old)); err != nil {
		return err
	}
	young, err := t.pod(0)
	if err != nil {
		return err
	}
	x, err1 := moved(young)
	y, err2 := moved(other)
	if err := errors.Join(err1, err2, asks(x.namespace, "tcp", y.four+":8080", other.Name+" sees "+x.four)); err != nil {
		return err
	}
	return errors.Join(t.gone(old), t.gone(other), t.gone(young), eventually(func() error { return t.finish(before) }))
}

// again stops and starts a container, where the runtime can, else itself.
func (t *Trial) again(p *Pod) error {
	e, can := t.Runtime.(engine)
	switch {
	case can:
		_, err1 := e.tool("stop", "--time", "5", p.Name)
		_, err2 := e.tool("start", p.Name)
		return errors.Join(err1, err2)
	case t.traits&Daemon != 0:
		return errors.Join(t.Quit(), t.Start())
	}
	return nil
}

// overwritten: a package of the reference is unpacked over these plugins, with a pod running, and then these over the reference. What lives goes on, a pod of either is
// stopped and started, and deleted, by these. (The reference of Debian cannot delete one of these: it fails where it finds no chain of its own. So `trestle uninstall` refuses.)
func overwritten(t *Trial) error {
	before, err := state()
	if err != nil {
		return err
	}
	real, ours := filepath.Join(topDir, "real"), filepath.Join(topDir, "ours")
	a, err := t.pod(0)
	if err := errors.Join(err, serving(a), os.Rename(real, ours), os.CopyFS(real, os.DirFS(spare)), serving(a)); err != nil {
		return err
	}
	b, err := t.pod(0)
	err = errors.Join(err, serving(b), os.RemoveAll(real), os.Rename(ours, real))
	for _, p := range []*Pod{a, b} {
		err = errors.Join(err, serving(p), t.again(p), serving(p), t.gone(p))
	}
	for _, family := range []string{"ip", "ip6"} {
		program("nft", "delete", "table", family, "nat") // the reference's
	}
	return errors.Join(err, started(t), t.collect(before))
}

// returned goes back to the reference: not while a pod of ours is there, and then without a trace of us.
func (t *Trial) returned(uninstall func() error) error {
	p, err := t.pod(0)
	if err != nil {
		return err
	}
	if err := uninstall(); err == nil || !strings.Contains(err.Error(), "attachments are of these plugins") {
		return fmt.Errorf("uninstall with a pod running: %v", err)
	}
	if err := errors.Join(t.gone(p), uninstall(), groundless()); err != nil {
		return err
	}
	if p, err = t.pod(0); err != nil {
		return fmt.Errorf("by the reference again: %w", err)
	}
	return errors.Join(serving(p), t.gone(p))
}

// groundless wants all that our pods shared to be gone: bridge, tables, the names that we give.
func groundless() error {
	text, err := state()
	if err != nil {
		return err
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, "trestle") || strings.HasPrefix(line, "host link cni0 ") {
			return fmt.Errorf("uninstalled, and there is still: %s", line)
		}
	}
	return nil
}

// reached asks the pod from the outside by its port, where it has one.
func (t *Trial) reached(p *Pod) error {
	if p.Host == 0 {
		return nil
	}
	return asks(outside, "tcp", fmt.Sprintf("%s:%d", host4, p.Host), p.Name+" sees "+outside4)
}
