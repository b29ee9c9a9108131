package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/trestle-cni/trestle/pkg/fault"
)

// Delegate calls the plugin kind, found in CNI_PATH, with this request's environment and configuration and another command. It is the
// only place that runs a program. The result is nil for every command but ADD.
func (r *Request) Delegate(ctx context.Context, kind, command string) (*types100.Result, error) {
	file, err := r.find(kind)
	if err != nil {
		return nil, err
	}
	env := maps.Clone(r.Environ)
	env["CNI_COMMAND"] = command
	out, err := r.run(ctx, file, env)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	if command != "ADD" {
		return nil, nil
	}
	result, err := ParseResult(out, r.Version)
	if err != nil {
		return nil, fault.New(fault.Delegate, "is "+file+" a CNI plugin?", "%s: result: %w: %.200q", kind, err, out)
	}
	return result, nil
}

// find returns the first regular file of that name in CNI_PATH. The name comes from a configuration: a path in it could run anything
// (CVE-2021-20206).
func (r *Request) find(kind string) (string, error) {
	if kind == "" || kind == "." || kind == ".." || strings.ContainsRune(kind, '/') {
		return "", fault.New(fault.Config, "name a plugin, without a path", "ipam.type: %q: not a plugin's name", kind)
	}
	for _, dir := range r.Path {
		file := filepath.Join(dir, kind)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return file, nil
		}
	}
	return "", fault.New(fault.Delegate, "put the plugin there or mend CNI_PATH", "ipam.type: %s: not found in CNI_PATH %s", kind, strings.Join(r.Path, ":"))
}

// run is one exec of a plugin. A cancelled context asks it to end and gives it time to undo its work.
func (r *Request) run(ctx context.Context, file string, env map[string]string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, file)
	for key, value := range env {
		cmd.Env = append(cmd.Env, key+"="+value)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(r.Config), &stdout, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	_, _ = r.Streams.Err.Write(stderr.Bytes()) // a delegate's log is ours, also where it failed
	switch {
	case err == nil:
		return stdout.Bytes(), nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	default:
		return nil, delegateError(file, err, stdout.Bytes(), stderr.Bytes())
	}
}

// delegateError keeps the code and the remedy that the delegate reported.
func delegateError(file string, err error, stdout, stderr []byte) error {
	var reply struct {
		Code         uint
		Msg, Details string
	}
	if json.Unmarshal(stdout, &reply) == nil && (reply.Code != 0 || reply.Msg != "") {
		return fault.New(reply.Code, reply.Details, "%s", reply.Msg)
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
