// Package plugin is the shell around every plugin: it reads the environment and standard input as the CNI specification has
// them, calls the verb, and prints the result or the error.
//
// A shell is a function of (environment, standard input, streams). Nothing below it reads the process's environment, so one
// process can be several plugins one after the other.
package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/trestle-cni/trestle/pkg/deadline"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/journal"
	"github.com/trestle-cni/trestle/pkg/phase"
)

// Plugin is a name, the versions that it speaks, and the verbs. Address plugins fill in the verbs themselves; package attach
// makes them from a parser and a planner. Every verb must be there: a missing one would succeed silently.
type Plugin struct {
	Name     string
	Versions []string // Versions() when nil
	Equals   string   // the version of the reference that it equals, for programs that run it bare and read that (nerdctl, of firewall); empty: none asks
	Makes    bool     // it makes the interface; all that the attachment has on the host goes with its DEL, whatever the configuration
	// Args says that the plugin reads CNI_ARGS, as its reference does, and so refuses an ADD with what it cannot read there. Any other takes
	// whatever a runtime has for its neighbours in the list.
	Args bool

	// Ahead returns what the plugin that makes the interface does in this one's place, before the interface is up, if both run in one process: keys of that
	// plugin's configuration. Nil: nothing.
	Ahead func(*Request) map[string]json.RawMessage

	// Add makes the attachment and ends with Request.Print. What it made before an error it has undone.
	Add    func(context.Context, *Request) error
	Del    func(context.Context, *Request) error
	Check  func(context.Context, *Request) error
	GC     func(context.Context, *Request) error
	Status func(context.Context, *Request) error
	// Repair makes anew what others swept away of a living attachment (a flushed packet filter), and nothing else. It is no verb of the
	// protocol: trestle repair asks for it, with CNI_COMMAND=REPAIR and what a CHECK has. Nil where there is nothing that others sweep.
	Repair func(context.Context, *Request) error
	// Undo and Collect are this plugin's part of a DEL, and of a GC, that another carries out, who has the lock and gives the addresses back. They are no verbs of the
	// protocol either (Part, CollectPart). Nil where there is none.
	Undo, Collect func(context.Context, *Request) error
	// Daemon is what the binary does as `NAME daemon FLAG...`, and its exit status; nil: nothing.
	Daemon func(flags []string) int
	// Parse reads the configuration as an ADD does, complains of all that is wrong, and touches nothing. It is for Bundle.Lint.
	Parse func(*Request) error
}

// Versions returns the protocol versions that the suite speaks, the oldest first.
func Versions() []string {
	return []string{"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}
}

// Current is the newest protocol version that the suite speaks.
const Current = "1.1.0"

// Set by the linker (Makefile).
var (
	version = "development"
	commit  = "unknown"
)

// Build returns which version this binary is, and of which commit.
func Build() (ofVersion, ofCommit string) { return version, commit }

// Streams are the three standard streams of one call.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Main runs p as this process and ends it. A SIGTERM, SIGINT or SIGHUP ends a wait of an ADD, which undoes what it did and reports an error; where
// nothing is waited for it comes too late, as it does for a DEL.
func Main(p Plugin) { Bundle{p.Name: p}.Main(p.Name) }

// Bundle is the plugins that one binary holds, by name.
type Bundle map[string]Plugin

// Main runs the named plugin as this process, as the function Main does. The name must be one of the bundle's.
func (b Bundle) Main(name string) {
	if serve := b[name].Daemon; serve != nil && len(os.Args) > 1 && os.Args[1] == "daemon" {
		os.Exit(serve(os.Args[2:]))
	}
	env := Environment(os.Environ())
	if env["CNI_COMMAND"] == "DEL" {
		// The kernel removes a link for 10 ms and more. With two processors the scheduler wakes threads all the while, to find nothing to do.
		runtime.GOMAXPROCS(1)
	}
	// The runtime may close its end of the pipe first: then printing fails, and the ADD is undone. A death by SIGPIPE would leave it.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(b.Run(interruptible(env["CNI_COMMAND"]), name, env, Streams{os.Stdin, os.Stdout, os.Stderr}))
}

// Environment turns KEY=VALUE lines into a map; the last of equal keys wins.
func Environment(lines []string) map[string]string {
	env := make(map[string]string, len(lines))
	for _, line := range lines {
		if key, value, ok := strings.Cut(line, "="); ok {
			env[key] = value
		}
	}
	return env
}

// Run is one call of p, and returns the exit status: 0, or 1 with an error object on the output.
func Run(ctx context.Context, p Plugin, env map[string]string, s Streams) (status int) {
	return Bundle{p.Name: p}.Run(ctx, p.Name, env, s)
}

// Run is one call of the named plugin, as the function Run. What it delegates to a plugin that is this very binary stays in the process.
func (b Bundle) Run(ctx context.Context, name string, env map[string]string, s Streams) (status int) {
	p := b[name]
	if p.Versions == nil {
		p.Versions = Versions()
	}
	if env["CNI_COMMAND"] == "" {
		return about(p, s)
	}
	ctx, stop := deadline.Begin(ctx)
	defer stop()
	ctx, call := journal.Begin(ctx, name, env)
	s.Err = call.Hear(s.Err)
	ctx = phase.Watch(ctx, env, s.Err, p.Name)
	told, err := b.call(ctx, p, env, s)
	err = p.ended(ctx, err)
	call.End(told.Network, told.printed, err)
	if err == nil {
		return 0
	}
	printError(s.Out, told.Version, err)
	return 1
}

// call carries out the verb. What of the request could be read is returned beside an error, too.
func (b Bundle) call(ctx context.Context, p Plugin, env map[string]string, s Streams) (told Request, err error) {
	told.Version = Current
	defer func() {
		if r := recover(); r != nil {
			err = fault.New(fault.Internal, "report this with the text on standard error", "%s: panic: %v", p.Name, r)
			fmt.Fprintf(s.Err, "%s", debug.Stack())
		}
	}()
	if env["CNI_COMMAND"] == "VERSION" {
		return told, printVersions(p, s)
	}
	req, err := newRequest(p, env, s)
	if req != nil {
		told = Request{Version: req.Version, Network: req.Network}
	}
	if err != nil {
		return told, err
	}
	defer func() { req.sandbox.close() }()
	req.bundle = b
	phase.End(ctx, "environment and configuration")
	err = p.verb(req)(ctx, req)
	told.printed = req.printed
	return told, err
}

// ended is the error of a call that was not let finish.
func (p Plugin) ended(ctx context.Context, err error) error {
	switch {
	case err == nil || ctx.Err() == nil:
		return err
	case errors.Is(err, context.Canceled):
		return fault.New(fault.Interrupted, "what had been done was undone; call again", "%s: %w", p.Name, err)
	case errors.Is(err, context.DeadlineExceeded) && fault.Code(err) == fault.Internal:
		within := (deadline.Call - deadline.Undo).String()
		if most := phase.Longest(ctx); most != "" {
			within += ", " + most
		}
		return fault.New(fault.TryLater, "see what the host is busy with; call again", "%s: not done in %s: %w", p.Name, within, err)
	}
	return err
}

func (p Plugin) verb(r *Request) func(context.Context, *Request) error {
	if r.goesRound() {
		return endRound
	}
	for _, own := range []*func(context.Context, *Request) error{&p.Repair, &p.Undo, &p.Collect} {
		if *own == nil {
			*own = func(context.Context, *Request) error { return nil }
		}
	}
	return map[string]func(context.Context, *Request) error{
		"ADD": p.Add, "DEL": p.Del, "CHECK": p.Check, "GC": p.GC, "STATUS": p.Status, "REPAIR": p.Repair, Part: p.Undo, CollectPart: p.Collect,
	}[r.Command]
}

// about is for a person who runs the binary by hand.
func about(p Plugin, s Streams) int {
	if p.Equals != "" {
		fmt.Fprintf(s.Err, "CNI %s plugin %s\n", p.Name, p.Equals)
	}
	fmt.Fprintf(s.Err, "CNI %s plugin, trestle %s (%s)\nCNI protocol versions supported: %s\n",
		p.Name, version, commit, strings.Join(p.Versions, ", "))
	return 0
}
