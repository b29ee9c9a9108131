package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// host is the private host's program: it tries one runtime, and writes a verdict a line.
func host(arguments []string) error {
	work, plugins, name, only, skip, record := arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]
	out := json.NewEncoder(os.Stdout)
	say := func(v Verdict) error { v.Runtime = name; return out.Encode(v) }
	candidate, ok := candidates(work)[name]
	if !ok {
		return fmt.Errorf("%s: no such runtime", name)
	}
	err := errors.Join(furnish(plugins, filepath.Join(work, "recorder")), uplink(),
		copyFile(filepath.Join(work, "node.conflist"), good))
	if err != nil {
		return err
	}
	t := &Trial{Runtime: candidate.Runtime, traits: candidate.traits, work: work}
	if _, err := os.Stat(filepath.Join(binDir, "trestle")); err == nil {
		t.traits |= Adopt
	}
	before, err := t.begin()
	if err := say(verdict("starts, and runs a pod", err)); err != nil {
		return err
	}
	for _, c := range checks() {
		if c.needs&t.traits != c.needs || c.without&t.traits != 0 || !c.named(only, skip) {
			continue
		}
		if err := say(t.try(c)); err != nil {
			return err
		}
	}
	if err := say(verdict("at the end, nothing of any pod is on the host", t.finish(before))); err != nil {
		return err
	}
	if record == "" {
		return nil
	}
	return keepCalls(filepath.Join(record, name+".json"))
}

// named says whether the check is asked for, by a part of its name and by what the name must not match.
func (c Check) named(only, skip string) bool {
	return strings.Contains(c.name, only) && (skip == "" || !regexp.MustCompile(skip).MatchString(c.name))
}

func verdict(check string, err error) Verdict {
	v := Verdict{Check: check, Passed: err == nil}
	if err != nil {
		v.Reason = err.Error()
	}
	return v
}

// begin starts the runtime and a pod, which makes the ground that all pods share: the bridge, the packet filter's tables, forwarding. It
// returns the state of before.
func (t *Trial) begin() (before string, err error) {
	if before, err = state(); err != nil {
		return "", err
	}
	if err := t.Start(); err != nil {
		return before, err
	}
	p, err := t.pod(t.port(18079))
	if err == nil {
		err = serving(p)
	}
	return before, errors.Join(err, t.clear())
}

// finish wants nothing to be there that is a pod's: no link but the bridge, no reservation, no cached result, and no chain, rule or element but the
// ground.
func (t *Trial) finish(before string) error {
	after, err := state()
	if err != nil {
		return err
	}
	var more []string
	for line := range strings.Lines(after) {
		if !strings.Contains(before, line) && !isGround(line) {
			more = append(more, line)
		}
	}
	if len(more) > 0 {
		return fmt.Errorf("left:\n%s", strings.Join(more, ""))
	}
	return nil
}

// isGround says whether the line is of what all pods share.
func isGround(line string) bool {
	f := strings.Fields(line)
	switch f[1] {
	case "link", "address":
		return f[2] == "cni0"
	case "route", "sysctl", "table", "set", "map":
		return true // they speak of links; where there is no link, the kernel has none of them
	case "element", "reservation", "result":
		return false
	case "chain", "rule":
		return !strings.Contains(line, "CNI-") || strings.Contains(line, "CNI-HOSTPORT-")
	}
	return false
}

// candidate is a runtime and what it can.
type candidate struct {
	Runtime
	traits Trait
}

// candidates are the runtimes by name.
func candidates(work string) map[string]candidate {
	image := filepath.Join(work, "image.tar")
	old, now := containerd{image: image}, containerd{image: image, bin: filepath.Join(work, "containerd2")}
	return map[string]candidate{
		"containerd-1.6": {&node{daemon: &old, socket: socket}, Daemon | Ports | Redo | Node | Early},
		"containerd-2.4": {&node{daemon: &now, socket: socket}, Daemon | Ports | Redo | Node | Status | Traced},
		"crio":           {&node{daemon: &crio{work: work, image: image}, socket: crioSocket}, Daemon | Redo | Node | Mapper | Wary},
		"nerdctl":        {&nerdctl{old, filepath.Join(work, "nerdctl")}, Daemon | Ports | Own | Compose | Strict},
		"ctr":            {&ctr{old}, 0},
		"podman":         {&podman{image}, Ports | Silent | Own | Early},
		"buildah":        {&buildah{image}, 0},
		"cnitool":        {&cnitool{tool: filepath.Join(work, "cnitool"), app: filepath.Join(work, "app")}, Ports | Redo | Verify},
	}
}
