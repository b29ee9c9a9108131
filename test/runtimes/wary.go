package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// strangers is a network of another runtime's.
const strangers = `{"cniVersion": "1.1.0", "name": "strangers", "plugins": [{"type": "bridge", "bridge": "cni7", "isGateway": true, "ipMasq": true,
"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.77.0.0/24"}]]}}]}`

// killed: the daemon is killed with pods running, its own and one of another runtime on another network. Started again, it asks for STATUS, for GC with
// a list of those that it knows, and for CHECK: all go on as they are.
func killed(t *Trial) error {
	content, err := os.ReadFile(good)
	if err != nil {
		return err
	}
	if err := replaceFile(good, strings.Replace(string(content), "1.0.0", "1.1.0", 1)); err != nil {
		return err
	}
	gone, err := t.stranger()
	err = errors.Join(err, t.outliving(), t.clear(), gone())
	return errors.Join(err, replaceFile(good, string(content)), started(t))
}

func (t *Trial) outliving() error {
	var p *Pod
	err := eventually(func() (err error) {
		p, err = t.pod(t.port(18091))
		return err
	})
	if err != nil {
		return err
	}
	if err := errors.Join(serving(p), t.reached(p), calledFor("CHECK", "bridge", "host-local", "portmap")); err != nil {
		return err
	}
	before, err := state()
	if err != nil {
		return err
	}
	daemon := t.Runtime.(*node)
	if err := errors.Join(daemon.Kill(), serving(p), daemon.Start()); err != nil {
		return err
	}
	asked := eventually(func() error {
		return errors.Join(calledFor("STATUS", "bridge", "portmap"), calledFor("GC", "bridge", "portmap"))
	})
	return errors.Join(asked, left(before, patience()), serving(p), t.reached(p), t.gone(p))
}

// stranger attaches a namespace to the other network, and returns what takes it away.
func (t *Trial) stranger() (gone func() error, err error) {
	path, dir := filepath.Join(netns, "stranger"), "/run/strangers"
	ask := func(verb string) error {
		_, err := program("env", "CNI_PATH="+binDir, "NETCONFPATH="+dir, filepath.Join(t.work, "cnitool"), verb, "strangers", path)
		return err
	}
	gone = func() error {
		err := errors.Join(ask("del"), unix.Unmount(path, unix.MNT_DETACH), os.Remove(path))
		_, deleted := program("ip", "link", "delete", "cni7")
		return errors.Join(err, deleted)
	}
	err = errors.Join(makeNamespace(path), os.MkdirAll(dir, 0o755), write(filepath.Join(dir, "10.conflist"), strangers))
	if err == nil {
		err = ask("add")
	}
	if err != nil {
		err = fmt.Errorf("another runtime: %w", err)
	}
	return gone, err
}
