package laws

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/trestle-cni/trestle/pkg/plugin"
)

// call is one verb for one plugin of the chain.
type call struct {
	verb     string
	member   int // index in Plugins
	of       Container
	prev     []byte         // prevResult; nil: none
	bare     bool           // no namespace and no runtimeConfig
	runtime  map[string]any // runtimeConfig in place of the configuration's
	valid    []attachment   // for GC
	unlisted bool           // a GC without a list of the valid
	rewrite  Rewrite
	part     string    // of a list: the plugin whose plans are rewritten; empty: all
	out      io.Writer // takes the output; nil: it is returned
	env      map[string]string
	spoil    func(member int, config Config) // changes what a plugin is sent
}

func (w *World) environment(c call) map[string]string {
	env := map[string]string{"CNI_COMMAND": c.verb, "CNI_CONTAINERID": c.of.ID, "CNI_NETNS": c.of.Netns, "CNI_IFNAME": ifName,
		"CNI_PATH": w.Path, "PATH": os.Getenv("PATH")}
	if c.bare {
		env["CNI_NETNS"] = ""
	}
	maps.Copy(env, c.env)
	return env
}

func (w *World) kind(c call) Kind { return w.Kinds[w.Plugins[c.member].Type()] }

// inProcess carries out the call in this process.
func (w *World) inProcess(c call) ([]byte, error) {
	return w.run(c, w.kind(c).in(c.part, w.Plant, c.rewrite))
}

func (w *World) run(c call, bundle plugin.Bundle) ([]byte, error) {
	config, err := w.stdin(c)
	if err != nil {
		return nil, err
	}
	var out, log bytes.Buffer
	streams := plugin.Streams{In: bytes.NewReader(config), Out: &out, Err: &log}
	if c.out != nil {
		streams.Out = c.out
	}
	if bundle.Run(context.Background(), w.kind(c).Name, w.environment(c), streams) == 0 {
		return out.Bytes(), nil
	}
	return nil, w.failure(c, out.Bytes(), log.Bytes())
}

// asProcess carries out the call as a runtime does, with the command given.
func (w *World) asProcess(c call, cmd *exec.Cmd) ([]byte, error) {
	config, err := w.stdin(c)
	if err != nil {
		return nil, err
	}
	for key, value := range w.environment(c) {
		cmd.Env = append(cmd.Env, key+"="+value)
	}
	var out, log bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(config), &out, &log
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%w: %w", w.failure(c, out.Bytes(), log.Bytes()), err)
	}
	return out.Bytes(), nil
}

// built is the built plugin for the call.
func (w *World) built(c call) *exec.Cmd {
	return exec.Command(filepath.Join(w.Path, w.Plugins[c.member].Type()))
}

// Failure is the error object that a plugin answered with.
type Failure struct {
	Code uint
	Msg  string
	call string
}

func (f *Failure) Error() string { return fmt.Sprintf("%s: %s (code %d)", f.call, f.Msg, f.Code) }

func (w *World) failure(c call, out, log []byte) error {
	f := &Failure{call: c.verb + " of " + w.Plugins[c.member].Type()}
	if err := json.Unmarshal(out, f); err != nil && c.out == nil {
		f.Msg = fmt.Sprintf("no error object: %q, %q", out, log)
	}
	return f
}

// runner carries out a call.
type runner func(call) ([]byte, error)

// add adds the container to the network, plugin by plugin, and returns the last result.
func (w *World) add(run runner, c Container) (result []byte, err error) {
	return w.addUpTo(run, c, len(w.Plugins))
}

// addUpTo is add by the first n plugins.
func (w *World) addUpTo(run runner, c Container, n int) (result []byte, err error) {
	return w.addAs(run, call{of: c}, n)
}

// addAs is addUpTo with what the template says the calls have in common.
func (w *World) addAs(run runner, template call, n int) (result []byte, err error) {
	template.verb = "ADD"
	for member := range n {
		template.member, template.prev = member, result
		if result, err = run(template); err != nil {
			return nil, err
		}
	}
	return result, nil
}

// del removes the container from the network, in the reverse order. Its template says what the calls have in common.
func (w *World) del(run runner, template call) error {
	template.verb = "DEL"
	for member := range slices.Backward(w.Plugins) {
		template.member = member
		if _, err := run(template); err != nil {
			return err
		}
	}
	return nil
}

// all calls every plugin of the chain in order.
func (w *World) all(run runner, template call) error {
	for member := range w.Plugins {
		template.member = member
		if _, err := run(template); err != nil {
			return err
		}
	}
	return nil
}

// gc collects garbage; valid are the attachments to keep.
func (w *World) gc(valid ...attachment) error {
	if valid == nil {
		valid = []attachment{}
	}
	if err := w.all(w.inProcess, call{verb: "GC", valid: valid}); err != nil {
		return err
	}
	return w.vacate(valid)
}

// prime makes the ground: it adds and deletes the other container.
func (w *World) prime() error {
	result, err := w.add(w.inProcess, w.other)
	if err == nil {
		err = w.del(w.inProcess, call{of: w.other, prev: result})
	}
	if err != nil {
		return fmt.Errorf("ground: %w", err)
	}
	return nil
}
