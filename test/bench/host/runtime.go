package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/version"
)

// Program is the driver that runs a program and waits for it, with the means by which libcni runs a plugin.
const Program = "program"

// Tool is the driver that runs an operator's command, which is what the verb says, of the program that Dir is.
const Tool = "tool"

// cache is libcni's folder for the results of ADD.
const cache = "/var/lib/cni"

// traces is where strace(1) writes to.
const traces = "/run/traces"

// through drives plugins as a runtime does: libcni, with its cache.
func (s *Server) through(o Order, path string, how invoke.Exec) (driver, error) {
	list, err := libcni.ConfListFromBytes(o.Conflist)
	if err != nil {
		return nil, err
	}
	cni := libcni.NewCNIConfigWithCacheDir([]string{path}, cache, timed{how, o.Of})
	return func(ctx context.Context, verb string, pod int) error {
		call := &libcni.RuntimeConf{ContainerID: fmt.Sprint("pod", pod), NetNS: s.pods[pod], IfName: "eth0",
			CapabilityArgs: map[string]any{"portMappings": o.Mappings.of(pod)}}
		switch verb {
		case "ADD":
			_, err := cni.AddNetworkList(ctx, list, call)
			return err
		case "CHECK":
			return cni.CheckNetworkList(ctx, list, call)
		case "DEL":
			return cni.DelNetworkList(ctx, list, call)
		}
		return fmt.Errorf("verb %q: unknown", verb)
	}, nil
}

// mapping is an entry of the capability portMappings.
type mapping struct {
	HostPort      int    `json:"hostPort"`
	ContainerPort int    `json:"containerPort"`
	Protocol      string `json:"protocol"`
}

func (m Mappings) of(pod int) []mapping {
	protocols := []string{m.Protocol}
	if m.Protocol == "both" {
		protocols = []string{"tcp", "udp"}
	}
	list := []mapping{}
	for i := range m.Count {
		for _, protocol := range protocols {
			list = append(list, mapping{m.HostPort(pod, i), containerPort + i, protocol})
		}
	}
	return list
}

// stopwatch adds up what the plugins of one call take.
type stopwatch struct{ total time.Duration }

type watchKey struct{}

// timed has each plugin's time added to the call's stopwatch, or that of one plugin alone.
type timed struct {
	invoke.Exec
	of string
}

// ExecPlugin runs a plugin.
func (t timed) ExecPlugin(ctx context.Context, path string, stdin []byte, environ []string) ([]byte, error) {
	began := time.Now()
	out, err := t.Exec.ExecPlugin(ctx, path, stdin, environ)
	if watch, ok := ctx.Value(watchKey{}).(*stopwatch); ok && (t.of == "" || t.of == filepath.Base(path)) {
		watch.total += time.Since(began)
	}
	return out, err
}

// outside starts plugins as libcni does, or under strace(1).
func outside(o Order) invoke.Exec {
	plain := &invoke.DefaultExec{RawExec: &invoke.RawExec{}}
	if o.Trace {
		return traced{plain}
	}
	return plain
}

// traced starts plugins under strace(1), which writes down each program that they start, and theirs.
type traced struct{ invoke.Exec }

// ExecPlugin runs a plugin.
func (t traced) ExecPlugin(ctx context.Context, path string, stdin []byte, environ []string) ([]byte, error) {
	if err := os.MkdirAll(traces, 0o755); err != nil {
		return nil, err
	}
	log, err := os.CreateTemp(traces, "execs")
	if err != nil {
		return nil, err
	}
	log.Close()
	cmd := exec.CommandContext(ctx, "strace", "-f", "-qq", "-z", "-e", "trace=execve", "-e", "signal=none", "-o", log.Name(), path)
	cmd.Env, cmd.Stdin = environ, bytes.NewReader(stdin)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("strace %s: %w: %s", filepath.Base(path), err, out)
	}
	return out, nil
}

// execsIn counts the programs in what strace(1) wrote: a line each.
func execsIn(file string) (int, error) {
	text, err := os.ReadFile(file)
	return strings.Count(string(text), "execve("), err
}

// start runs a program for each call, and asks it for its versions: of all that can be asked of a plugin, that takes the least.
func start(o Order) (driver, error) {
	if _, err := os.Stat(o.Dir); err != nil {
		return nil, err
	}
	how := timed{Exec: &invoke.DefaultExec{RawExec: &invoke.RawExec{}, PluginDecoder: version.PluginDecoder{}}}
	return func(ctx context.Context, _ string, _ int) error {
		args := &invoke.Args{Command: "VERSION", ContainerID: "pod", NetNS: "/run/netns/pod", IfName: "eth0", Path: filepath.Dir(o.Dir)}
		_, err := how.ExecPlugin(ctx, o.Dir, o.Conflist, args.AsEnv())
		if err != nil {
			return errors.Join(fmt.Errorf("start %s", o.Dir), err)
		}
		return nil
	}, nil
}

// tool runs a command of the operator's, who has one network, in a folder of its own. A finding of doctor's that is no error is none here.
func tool(o Order) (driver, error) {
	const networks = "/run/networks"
	err := os.MkdirAll(networks, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(networks, "bench.conflist"), o.Conflist, 0o644)
	}
	return func(ctx context.Context, verb string, _ int) error {
		cmd := exec.CommandContext(ctx, o.Dir, strings.Fields(verb)...)
		cmd.Env = append(os.Environ(), "NETCONFPATH="+networks, "CNI_PATH="+filepath.Dir(o.Dir))
		out, err := cmd.CombinedOutput()
		if len(out) == 0 || err != nil && cmd.ProcessState.ExitCode() != 1 {
			return fmt.Errorf("%s: %w\n%s", verb, err, out)
		}
		return nil
	}, err
}
