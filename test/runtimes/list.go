package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// onePlugin: the network's list is inside one plugin, as in conf/61-node-one.conflist. Ports are published; where a runtime asks for an address, or reloads
// a network, the container has it and goes on.
func onePlugin(t *Trial) error {
	content, err := os.ReadFile(good)
	if err != nil {
		return err
	}
	one, err := os.ReadFile(filepath.Join(t.work, "node-one.conflist"))
	if err != nil {
		return err
	}
	same := strings.NewReplacer("node-one", "node", "cni1", "cni0", "10.86.", "10.85.", "fd00:86:", "fd00:85:").Replace(string(one))
	if err := replaceFile(good, same); err != nil {
		return err
	}
	tried := t.onOnePlugin()
	return errors.Join(tried, t.clear(), replaceFile(good, string(content)), started(t))
}

func (t *Trial) onOnePlugin() error {
	// A daemon that watches the directory may not have seen it yet.
	if err := eventually(func() error { return errors.Join(started(t), calledFor("ADD", "trestle")) }); err != nil {
		return err
	}
	engine, is := t.Runtime.(*podman)
	if !is {
		return nil
	}
	p := &Pod{Name: "fixed", Host: 18078, Address: "10.85.7.7"}
	t.pods = append(t.pods, p)
	if err := engine.Run(p); err != nil {
		return err
	}
	reached := func() error { return asks(outside, "tcp", host4+":18078", p.Name+" sees "+outside4) }
	if err := eventually(reached); err != nil {
		return fmt.Errorf("with an address of its own: %w", err)
	}
	if _, err := program("podman", "network", "reload", p.Name); err != nil {
		return err
	}
	if err := eventually(reached); err != nil {
		return fmt.Errorf("after a reload of its network: %w", err)
	}
	return t.gone(p)
}
