package plugin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/deadline"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/test/slack"
)

// ipamDir is a directory with this test binary as the plugin ipam.
func ipamDir(t *testing.T) string {
	dir := t.TempDir()
	exe, err := os.Executable()
	must(t, err)
	must(t, os.Symlink(exe, filepath.Join(dir, "ipam")))
	return dir
}

// delegating calls a plugin that delegates to this test binary, found in CNI_PATH as ipam.
func delegating(t *testing.T, kind, command, behaviour string) (reply, *types100.Result) {
	t.Helper()
	dir := ipamDir(t)
	must(t, os.Mkdir(filepath.Join(dir, "folder"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "text"), []byte("no program"), 0o755))
	var result *types100.Result
	a := call(t, with("CNI_PATH=/none:"+dir, "DELEGATE="+behaviour), config, func(ctx context.Context, r *Request) (err error) {
		result, err = r.Delegate(ctx, kind, command)
		return err
	})
	a.out = strings.ReplaceAll(a.out, dir, "DIR")
	return a, result
}

func TestDelegate(t *testing.T) {
	a, result := delegating(t, "ipam", "ADD", "answers")
	if a.status != 0 || len(result.IPs) != 1 || result.IPs[0].Address.String() != "10.1.0.2/24" {
		t.Errorf("ADD: %s, result %v", a.out, result)
	}
	if want := "said ADD for ctr1\n"; a.log != want {
		t.Errorf("ADD: log %q, want %q", a.log, want)
	}
	a, result = delegating(t, "ipam", "DEL", "rubbish")
	if a.status != 0 || result != nil {
		t.Errorf("DEL: %s, result %v", a.out, result)
	}
}

// What goes wrong with a delegate is told with its name and, where it has one, its own code and remedy.
func TestDelegateFails(t *testing.T) {
	for _, c := range []struct {
		kind, behaviour string
		code            uint
		message, hint   string
	}{
		{"ipam", "refuses", 101, "ipam: no address is free", "widen the range"},
		{"ipam", "rubbish", fault.Delegate, `ipam: result: invalid character 'h' looking for beginning of value: "hello"`, "is DIR/ipam a CNI plugin?"},
		{"ipam", "fails in silence", fault.Delegate, `ipam: DIR/ipam: exit status 3: ""`, "run DIR/ipam by hand"},
		{"ipam", "complains in prose", fault.Delegate, `ipam: DIR/ipam: exit status 2: "segmentation fault, core dumped"`, "run DIR/ipam by hand"},
		{"ipam", "dies", fault.Delegate, `ipam: DIR/ipam: signal: killed: ""`, "run DIR/ipam by hand"},
		{"text", "answers", fault.Delegate, `text: DIR/text: fork/exec DIR/text: exec format error: ""`, "is DIR/text a program for this machine?"},
		{"absent", "answers", fault.Delegate, "ipam.type: absent: not found in CNI_PATH /none:DIR", "put the plugin there or mend CNI_PATH"},
		{"folder", "answers", fault.Delegate, "ipam.type: folder: not found in CNI_PATH /none:DIR", "put the plugin there or mend CNI_PATH"},
		{"../ipam", "answers", fault.Config, `ipam.type: "../ipam": not a plugin's name`, "name a plugin, without a path"},
		{"/bin/sh", "answers", fault.Config, `ipam.type: "/bin/sh": not a plugin's name`, "name a plugin, without a path"},
		{"..", "answers", fault.Config, `ipam.type: "..": not a plugin's name`, "name a plugin, without a path"},
		{"", "answers", fault.Config, `ipam.type: "": not a plugin's name`, "name a plugin, without a path"},
	} {
		a, _ := delegating(t, c.kind, "ADD", c.behaviour)
		e := a.fault(t)
		got := []any{e.Code, e.Msg, e.Details}
		if diff := cmp.Diff([]any{c.code, c.message, c.hint}, got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", c.kind, c.behaviour, diff)
		}
	}
}

// The runtime's end of the call is the end of the delegate, and not the delegate's fault.
func TestDelegateInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := &Request{Path: []string{"/bin"}, Environ: map[string]string{}, Config: []byte(config), Streams: Streams{Err: &strings.Builder{}}}
	if _, err := r.Delegate(ctx, "cat", "ADD"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

// A plugin may answer in any version that we know, whatever the configuration's. Routes and gateways come along.
func TestAnswersOfEveryVersion(t *testing.T) {
	const old = `"ip4": {"ip": "10.1.0.2/24", "gateway": "10.1.0.1", "routes": [{"dst": "0.0.0.0/0"}]}`
	const middle = `"ips": [{"version": "4", "address": "10.1.0.2/24", "gateway": "10.1.0.1"}], "routes": [{"dst": "0.0.0.0/0"}]`
	const late = `"ips": [{"address": "10.1.0.2/24", "gateway": "10.1.0.1"}], "routes": [{"dst": "0.0.0.0/0"}]`
	forms := map[string]string{"0.1.0": old, "0.2.0": old, "0.3.0": middle, "0.3.1": middle, "0.4.0": middle, "1.0.0": late, "1.1.0": late}
	for _, asked := range Versions() {
		for _, answered := range Versions() {
			var result *types100.Result
			env := with("CNI_PATH="+ipamDir(t), "DELEGATE=versioned", `ANSWER={"cniVersion": "`+answered+`", `+forms[answered]+`}`)
			a := call(t, env, `{"cniVersion": "`+asked+`", "name": "net"}`, func(ctx context.Context, r *Request) (err error) {
				if result, err = r.Delegate(ctx, "ipam", "ADD"); err == nil {
					err = r.Print(result)
				}
				return err
			})
			if a.status != 0 || result.IPs[0].Address.String() != "10.1.0.2/24" || result.IPs[0].Gateway.String() != "10.1.0.1" ||
				len(result.Routes) != 1 || versionOf([]byte(a.out)) != asked {
				t.Errorf("asked in %s, answered in %s: %s", asked, answered, a.out)
			}
		}
	}
}

// An address plugin gives addresses, and no interfaces: what it says of them is not taken for a previous plugin's word.
func TestAnswerNamesNoInterface(t *testing.T) {
	env := with("CNI_PATH="+ipamDir(t), "DELEGATE=versioned", `ANSWER={"cniVersion": "1.0.0", "interfaces": [{"name": "x"}], "ips": [{"address": "10.1.0.2/24", "interface": 0}]}`)
	a := call(t, env, `{"cniVersion": "1.0.0", "name": "net"}`, func(ctx context.Context, r *Request) error {
		result, err := r.Delegate(ctx, "ipam", "ADD")
		if err == nil && (len(result.Interfaces) > 0 || len(result.IPs) != 1 || result.IPs[0].Interface != nil) {
			t.Errorf("got %v", result)
		}
		return err
	})
	if a.status != 0 {
		t.Error(a.out)
	}
}

// Whoever calls itself, in this process or out of it, through others or not, is told so; a DEL has nothing to do.
func TestGoesRound(t *testing.T) {
	for _, command := range []string{"ADD", "CHECK", "STATUS", "GC", "DEL"} {
		bundle, calls := Bundle{}, 0
		round := func(to string) func(context.Context, *Request) error {
			return func(ctx context.Context, r *Request) error {
				calls++
				_, err := r.Delegate(ctx, to, r.Command)
				return err
			}
		}
		for from, to := range map[string]string{"one": "two", "two": "three", "three": "one"} {
			f := round(to)
			bundle[from] = Plugin{Name: from, Add: f, Del: f, Check: f, GC: f, Status: f}
		}
		var out strings.Builder
		status := bundle.Run(t.Context(), "one", with("CNI_COMMAND="+command, "CNI_PATH="+Self), Streams{strings.NewReader(config), &out, &out})
		if want := command != "DEL"; calls != 3 || (status != 0) != want || strings.Contains(out.String(), "one: called by itself, within one:two:three") != want {
			t.Errorf("%s: %d calls, status %d: %s", command, calls, status, out.String())
		}
	}
}

// A call has one deadline, and what is called within it no other.
func TestOneDeadline(t *testing.T) {
	var outer, inner time.Time
	bundle := Bundle{
		"one": Plugin{Name: "one", Status: func(ctx context.Context, r *Request) error {
			outer, _ = ctx.Deadline()
			_, err := r.Delegate(ctx, "two", "STATUS")
			return err
		}},
		"two": Plugin{Name: "two", Status: func(ctx context.Context, _ *Request) error { inner, _ = ctx.Deadline(); return nil }},
	}
	var out strings.Builder
	bundle.Run(t.Context(), "one", with("CNI_COMMAND=STATUS", "CNI_PATH="+Self), Streams{strings.NewReader(config), &out, &out})
	if outer.IsZero() || time.Until(outer) > deadline.Call-deadline.Undo || !inner.Equal(outer) {
		t.Errorf("until %v, and within it until %v: %s", outer, inner, out.String())
	}
}

// A plugin that hangs is asked to end in time for the call to end in time, and ended where it does not.
func TestDelegateHangs(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "deaf"), []byte("#!/bin/sh\ntrap '' TERM\nread line <"+dir+"/pipe\n"), 0o700))
	must(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r := &Request{Path: []string{dir}, Environ: map[string]string{}, Config: []byte(config), Streams: Streams{Err: &strings.Builder{}}}
	if _, err := r.Delegate(ctx, "deaf", "DEL"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want context.DeadlineExceeded", err)
	}
}

// A plugin that undoes its work when it is asked to end, because the time is up, was not interrupted by the runtime.
func TestDelegateIsLate(t *testing.T) {
	dir := t.TempDir()
	must(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "slow"), []byte("#!/bin/sh\ntrap 'echo \"{\\\"code\\\": 105, \\\"msg\\\": \\\"lock: context canceled\\\"}\"; exit 1' TERM\n"+
		"while :; do read line <"+dir+"/pipe; done\n"), 0o700))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	r := &Request{Path: []string{dir}, Environ: map[string]string{}, Config: []byte(config), Streams: Streams{Err: &strings.Builder{}}}
	if _, err := r.Delegate(ctx, "slow", "ADD"); fault.Code(err) != fault.TryLater || !strings.Contains(err.Error(), "lock: context canceled") {
		t.Errorf("code %d: %v, want code 11", fault.Code(err), err)
	}
}

// What a plugin has started ends with it, whichever verb it was called for.
func TestDelegateEndsWhole(t *testing.T) {
	for _, command := range []string{"ADD", "DEL", "CHECK", "STATUS", "GC"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			pipe := filepath.Join(dir, "pipe")
			must(t, syscall.Mkfifo(pipe, 0o600))
			must(t, os.WriteFile(filepath.Join(dir, "hangs"), []byte("#!/bin/sh\n(trap '' TERM; exec sleep 1000 >"+pipe+" 2>&1) & wait\n"), 0o700))
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() {
				file, _ := os.Open(pipe) // waits for the child
				cancel()
				_, _ = file.Read(make([]byte, 1)) // and for its end
				close(ended)
			}()
			k, err := keys.Parse([]byte(config))
			must(t, err)
			r := &Request{Path: []string{dir}, Command: command, Keys: k, Environ: map[string]string{}, Config: []byte(config), Streams: Streams{Err: &strings.Builder{}}}
			if command == "GC" {
				err = r.DelegateGC(ctx, "hangs", Valid{})
			} else {
				_, err = r.Delegate(ctx, "hangs", command)
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%v, want context.Canceled", err)
			}
			select {
			case <-ended:
			case <-time.After(slack.Of(5 * time.Second)):
				t.Error("its child lives on")
			}
		})
	}
}
