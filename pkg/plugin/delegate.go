package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/process"
	"github.com/trestle-cni/trestle/pkg/keys"
)

// Self in CNI_PATH stands for the plugins that this binary holds. The operator's tool calls plugins so.
const Self = "/proc/self/exe"

// Delegate calls the address plugin kind, found in CNI_PATH, with this request's environment and configuration and another command. The result
// is nil for every command but ADD, and has no interfaces: which of them has the addresses is the caller's to say, as in the reference. Where
// the file found is this very binary, the plugin is called in this process, with nothing of an exec missing: an environment, streams and an error object of
// its own.
func (r *Request) Delegate(ctx context.Context, kind, command string) (*types100.Result, error) {
	none := GivesNone(kind)
	if none != nil && command == "DEL" {
		return nil, nil // who gave nothing holds nothing
	}
	if none != nil {
		return nil, none
	}
	to, err := r.delegate(kind)
	if err != nil {
		return nil, err
	}
	out, err := r.invoke(ctx, to, kind, command, r.Config)
	if err != nil || command != "ADD" {
		return nil, err
	}
	result, err := r.resultOf(to, kind, out)
	if err != nil {
		return nil, err
	}
	result.Interfaces = nil
	for _, ip := range result.IPs {
		ip.Interface = nil
	}
	return result, nil
}

func (r *Request) delegate(kind string) (callee, error) {
	if p, held := r.bundle[kind]; held && slices.Contains(r.Path, Self) {
		return r.inside(p), nil
	}
	file, err := r.find(kind)
	if err != nil {
		return callee{}, fmt.Errorf("ipam.type: %w", err)
	}
	if p, held := r.bundle[kind]; held && isSelf(file) {
		return r.inside(p), nil
	}
	return r.exec(file), nil
}

// Finds says why the plugin kind cannot be called, and nil where it can.
func (r *Request) Finds(kind string) error {
	_, err := r.delegate(kind)
	return err
}

// Again is the variable that says to an entry of a list that an earlier one is of the same plugin.
const Again = "TRESTLE_AGAIN"

// Invoke calls the plugin kind with a configuration of its own: from this binary if it holds such a plugin, else as Delegate does. It returns
// what an ADD printed, which is a result in the configuration's version.
func (r *Request) Invoke(ctx context.Context, kind, command string, config []byte) ([]byte, error) {
	if p, held := r.bundle[kind]; held {
		return r.invoke(ctx, r.inside(p), kind, command, config)
	}
	file, err := r.find(kind)
	if err != nil {
		return nil, err
	}
	to := r.exec(file)
	out, err := r.invoke(ctx, to, kind, command, config)
	if err != nil || command != "ADD" {
		return out, err
	}
	result, err := r.resultOf(to, kind, out)
	if own := versionOf(out); err != nil || own == "" || own == r.Version {
		return out, err
	}
	return r.text(result) // who comes next reads the configuration's version
}

// The verbs by which a plugin asks another of the suite for its part of a DEL or a GC: what the attachment has of it goes, without a lock, and no address is given
// back. What is not of the suite refuses them.
const (
	Part        = "UNDO"
	CollectPart = "COLLECT"
)

// Has says whether Invoke finds the plugin.
func (r *Request) Has(kind string) bool {
	_, err := r.find(kind)
	return err == nil || r.Bundled(kind)
}

// Bundled says whether this binary holds the plugin.
func (r *Request) Bundled(kind string) bool { _, held := r.bundle[kind]; return held }

// Ahead asks a plugin of this binary, with its configuration, what the one that makes the interface is to do in its place.
func (r *Request) Ahead(kind string, config []byte) map[string]json.RawMessage {
	p := r.bundle[kind]
	k, err := keys.Parse(config)
	if p.Ahead == nil || err != nil {
		return nil
	}
	inner := *r
	inner.Plugin, inner.Config, inner.Keys = kind, config, k
	return p.Ahead(&inner)
}

// Makers are the plugins of this binary that make an interface, in the order of their names.
func (r *Request) Makers() []string {
	var names []string
	for name, p := range r.bundle {
		if p.Makes {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// callee is a plugin and the way to call it: environment and configuration in, what it printed out.
type callee struct {
	where   string // a file, or a plugin's name
	sandbox int    // the descriptor by which it has the container's namespace open
	call    func(ctx context.Context, env map[string]string, config []byte) ([]byte, error)
}

func (r *Request) invoke(ctx context.Context, to callee, kind, command string, config []byte) ([]byte, error) {
	env := r.within(command)
	env[handed] = r.hand(to.sandbox)
	out, err := to.call(ctx, env, config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	return out, nil
}

// resultOf reads what a plugin answered to an ADD. It may know fewer versions of the protocol than the configuration names, or more.
func (r *Request) resultOf(from callee, kind string, out []byte) (*types100.Result, error) {
	if result, ok := decode(out, r.Version); ok {
		return result, nil
	}
	version := versionOf(out)
	if !slices.Contains(Versions(), version) { // the reference has it be the configuration's
		version = r.Version
	}
	result, err := ParseResult(out, version)
	if err != nil {
		return nil, fault.New(fault.Delegate, "is "+from.where+" a CNI plugin?", "%s: result: %w: %.200q", kind, err, out)
	}
	return result, nil
}

// isSelf says whether the file is the one that this process runs.
func isSelf(file string) bool {
	own, err1 := os.Stat("/proc/self/exe")
	other, err2 := os.Stat(file)
	return err1 == nil && err2 == nil && os.SameFile(own, other)
}

// inside calls a plugin of this binary.
func (r *Request) inside(p Plugin) callee {
	return callee{p.Name, r.Namespace(), func(ctx context.Context, env map[string]string, config []byte) ([]byte, error) {
		var out bytes.Buffer
		if r.bundle.Run(ctx, p.Name, env, Streams{bytes.NewReader(config), &out, r.Streams.Err}) == 0 {
			return out.Bytes(), nil
		}
		return nil, delegateError(p.Name, errors.New("failed"), out.Bytes(), nil) // the end of the call, too, has an object
	}}
}

// find returns the first regular file of that name in CNI_PATH. The name comes from a configuration: a path in it could run anything
// (CVE-2021-20206).
func (r *Request) find(kind string) (string, error) {
	if kind == "" || kind == "." || kind == ".." || strings.ContainsRune(kind, '/') {
		return "", fault.New(fault.Config, "name a plugin, without a path", "%q: not a plugin's name", kind)
	}
	for _, dir := range r.Path {
		file := filepath.Join(dir, kind)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return file, nil
		}
	}
	return "", fault.New(fault.Delegate, "put the plugin there or mend CNI_PATH", "%s: not found in CNI_PATH %s", kind, strings.Join(r.Path, ":"))
}

// grace is how long a plugin has to undo its work that was asked to end.
const grace = 5 * time.Second

// asked returns the context whose end asks a plugin to end, and how long it has then. It is over when the call is.
func asked(ctx context.Context) (context.Context, context.CancelFunc, time.Duration) {
	at, bounded := ctx.Deadline()
	if !bounded {
		return ctx, func() {}, grace
	}
	wait := min(grace, time.Until(at)/2)
	ctx, stop := context.WithDeadline(ctx, at.Add(-wait))
	return ctx, stop, max(wait, time.Millisecond) // none would be for ever
}

// exec calls the plugin in the file. A cancelled context asks it to end and gives it time to undo its work; then it ends with all that it has started.
func (r *Request) exec(file string) callee {
	const first = 3 // of a process's further files, package os/exec
	return callee{file, first, func(ctx context.Context, env map[string]string, config []byte) ([]byte, error) {
		var stdout, stderr bytes.Buffer
		ctx, stop, wait := asked(ctx)
		defer stop()
		cmd := exec.CommandContext(ctx, file)
		for key, value := range env {
			cmd.Env = append(cmd.Env, key+"="+value)
		}
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(config), &stdout, &stderr
		if sandbox := r.file(); sandbox != nil {
			defer sandbox.Close()
			cmd.ExtraFiles = []*os.File{sandbox}
		}
		err := process.Run(ctx, cmd, syscall.SIGTERM, wait)
		_, _ = io.WriteString(r.Streams.Err, harmless(stderr.String())) // a delegate's log is ours, also where it failed
		if err == nil {
			return stdout.Bytes(), nil
		}
		reply, said := readFault(stdout.Bytes())
		switch {
		case !said && ctx.Err() != nil:
			return nil, ctx.Err()
		case said && fault.Code(reply) == fault.Interrupted && errors.Is(ctx.Err(), context.DeadlineExceeded): // by us, and not by the runtime
			return nil, fault.New(fault.TryLater, "see what it waits for; call again", "not done in time: %w", errors.New(reply.Error()))
		}
		return nil, delegateError(file, err, stdout.Bytes(), stderr.Bytes())
	}}
}

// delegateError keeps the code and the remedy that the delegate reported.
func delegateError(file string, err error, stdout, stderr []byte) error {
	if said, ok := readFault(stdout); ok {
		return said
	}
	said := strings.TrimSpace(string(stderr))
	if said == "" {
		said = strings.TrimSpace(string(stdout))
	}
	var exit *exec.ExitError
	hint := "run " + file + " by hand"
	if !errors.As(err, &exit) {
		hint = "is " + file + " a program for this machine?"
	}
	return fault.New(fault.Delegate, hint, "%s: %w: %.400q", file, err, said)
}

// readFault reads an error object.
func readFault(stdout []byte) (error, bool) {
	var reply struct {
		Code         uint
		Msg, Details string
	}
	if json.Unmarshal(stdout, &reply) != nil || reply.Code == 0 && reply.Msg == "" {
		return nil, false
	}
	return fault.New(reply.Code, reply.Details, "%s", reply.Msg), true
}
