// Package journal answers "what happened to this container": a line of JSON for each verb that a runtime called, with what was made and removed for it.
// It is off unless Path says where to; a call that is not written down pays for one look at that file. The shell of plugins (package plugin) writes, the
// tool's log command reads.
package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/phase"
)

// Entry is one verb of one plugin, or of a whole list in one exec. Its JSON is an interface: members may be added, and none changes its meaning.
type Entry struct {
	Time      time.Time `json:"time"` // when it began, in UTC
	Verb      string    `json:"verb"`
	Plugin    string    `json:"plugin"`
	Network   string    `json:"network,omitempty"`
	Container string    `json:"container,omitempty"`
	Interface string    `json:"interface,omitempty"`
	Pod       string    `json:"pod,omitempty"`       // namespace/name, where a runtime of Kubernetes gave it
	Addresses []string  `json:"addresses,omitempty"` // that an ADD gave, with prefix lengths
	Code      uint      `json:"code"`                // 0: it went through; else the code of the error
	Error     string    `json:"error,omitempty"`
	Remedy    string    `json:"remedy,omitempty"`
	Millis    float64   `json:"ms"`
	Phases    []Phase   `json:"phases,omitempty"`
	Said      []string  `json:"said,omitempty"` // lines on standard error: taken over, made again, reclaimed, gone on without
	Trace     *Trace    `json:"trace,omitempty"`
}

// Phase is a part of a call: "make STEP", "undo STEP", or the name of what took the time.
type Phase struct {
	What   string  `json:"what"`
	Millis float64 `json:"ms"`
}

// Made are the steps that were made.
func (e *Entry) Made() []string { return e.phases("make ") }

// Removed are those that were undone.
func (e *Entry) Removed() []string { return e.phases("undo ") }

func (e *Entry) phases(verb string) (list []string) {
	for _, p := range e.Phases {
		if what, is := strings.CutPrefix(p.What, verb); is {
			list = append(list, what)
		}
	}
	return list
}

// Call is a call that is being written down; nil for one that is not.
type Call struct {
	entry Entry
	log   Log
	said  bytes.Buffer
}

type key struct{}

// Begin notes that a call begins, if the host keeps a journal and this is not a call within another one, whose line has it. The context
// collects the call's phases.
func Begin(ctx context.Context, plugin string, env map[string]string) (context.Context, *Call) {
	if verb := env["CNI_COMMAND"]; verb == "VERSION" || ctx.Value(key{}) != nil {
		return ctx, nil
	}
	log, err := Read()
	if err != nil || log.To == "" {
		return ctx, nil // the tool's doctor tells of a file that cannot be read: a container is not to wait for that
	}
	c := &Call{log: log, entry: Entry{ // in UTC: for the host's own zone a file is read first
		Time: time.Now().UTC(), Verb: env["CNI_COMMAND"], Plugin: plugin, Container: env["CNI_CONTAINERID"], Interface: env["CNI_IFNAME"],
		Pod: cache.PodOf(env["CNI_ARGS"]), Trace: join(env),
	}}
	ctx = phase.Note(ctx, func(took time.Duration, what string) {
		c.entry.Phases = append(c.entry.Phases, Phase{what, millis(took)})
	})
	return context.WithValue(ctx, key{}, c), c
}

// Silent returns a context whose calls are not written down: those of somebody who only looks.
func Silent(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, (*Call)(nil)) }

// Hear returns a writer that passes everything on, and keeps the beginning of it for the line.
func (c *Call) Hear(to io.Writer) io.Writer {
	if c == nil {
		return to
	}
	return io.MultiWriter(to, (*ear)(c))
}

// most is how many bytes of standard error a line has.
const most = 8 << 10

type ear Call

func (e *ear) Write(text []byte) (int, error) {
	e.said.Write(text[:min(len(text), most-e.said.Len())])
	return len(text), nil
}

// End writes the line, wherever the host wants it. One that cannot be written is lost: no container waits for its line, or fails for it. A STATUS
// that finds nothing leaves none, since some runtimes ask every few seconds; nor does a repair that had nothing to mend. result is what an ADD printed.
func (c *Call) End(network string, result []byte, err error) {
	if c == nil || err == nil && (c.entry.Verb == "STATUS" || c.entry.Verb == "REPAIR" && c.said.Len() == 0) {
		return
	}
	e := &c.entry
	e.Network, e.Millis = network, millis(time.Since(e.Time))
	if err == nil {
		e.Addresses = addressesIn(result)
	} else {
		e.Code, e.Error, e.Remedy = fault.Code(err), err.Error(), fault.Hint(err)
	}
	if said := strings.TrimSpace(c.said.String()); said != "" {
		e.Said = strings.Split(said, "\n")
	}
	c.log.write(append(e.encode(), '\n'))
}

// addressesIn are those of a result, of any version of the protocol. It is read without a type, as Path is.
func addressesIn(result []byte) (list []string) {
	var all map[string]any
	if len(result) == 0 || json.Unmarshal(result, &all) != nil {
		return nil
	}
	add := func(value any, key string) {
		of, _ := value.(map[string]any)
		if address, is := of[key].(string); is {
			list = append(list, address)
		}
	}
	ips, _ := all["ips"].([]any)
	for _, ip := range ips {
		add(ip, "address")
	}
	add(all["ip4"], "ip") // before 0.3.0
	add(all["ip6"], "ip")
	return list
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
