package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The trace of who asks for the pod, and the host's choice of a log.
const (
	askersTrace, askersSpan = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

	journalFile   = "/etc/cni/trestle.json"
	journalChoice = `{"log": {"to": "file", "file": "/run/trestle.log"}}`
)

// traced: a pod's start and end, asked for within a trace, are one tree in the file of a collector: the asker's call, what the runtime did for it, the plugins that it
// called, those that they called in turn, and their phases.
func traced(t *Trial) error {
	n, file := t.Runtime.(*node), "/run/traces"
	c, address, err := collectSpans(file)
	if err != nil {
		return err
	}
	if err := errors.Join(write(journalFile, journalChoice), n.Quit(), os.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address), n.Start()); err != nil {
		return err
	}
	n.trace = "00-" + askersTrace + "-" + askersSpan + "-01"
	p, err := t.pod(0)
	if err == nil {
		err = errors.Join(serving(p), t.gone(p))
	}
	n.trace = ""
	err = errors.Join(err, n.Quit(), os.Unsetenv("OTEL_EXPORTER_OTLP_ENDPOINT"), n.Start()) // it sends the last of them as it ends
	err = errors.Join(err, ourSpans(file), c.close(), t.oneTree(file))
	return errors.Join(err, os.Remove(journalFile), started(t))
}

// ourSpans adds those of the plugins to the file.
func ourSpans(file string) error {
	out, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer out.Close()
	text, err := program(filepath.Join(topDir, "real", "trestle"), "log", "--otlp")
	if err == nil {
		_, err = out.WriteString(text)
	}
	return err
}

// oneTree wants every span of the asker's trace to hang on the asker's, by way of others; each of ours on one of the runtime's that says what was done.
func (t *Trial) oneTree(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	tree := make(tree)
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var s spans
		if err := decoder.Decode(&s); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		tree.add(s)
	}
	t.said = tree.print(askersSpan, "")
	var errs []error
	for _, s := range tree {
		if way := tree.way(s); !strings.HasPrefix(way, "asked > ") {
			errs = append(errs, fmt.Errorf("it hangs in the air: %s", way))
		}
		if s.Start < tree[s.Parent].Start {
			errs = append(errs, fmt.Errorf("it began before its parent: %s", tree.way(s)))
		}
	}
	for _, want := range [][]string{
		{"RunPodSandbox", "cni.Setup", "CNI ADD bridge", "CNI ADD host-local"}, {"RunPodSandbox", "cni.Setup", "CNI ADD portmap", "make "},
		{"RunPodSandbox", "cni.Setup", "CNI ADD loopback"}, {"StopPodSandbox", "cni.Remove", "CNI DEL bridge", "CNI DEL host-local"},
	} {
		errs = append(errs, tree.has(want))
	}
	return errors.Join(errs...)
}

// tree is the spans of one trace, by their ids.
type tree map[string]span

func (t tree) add(more spans) {
	for _, resource := range more.Resources {
		for _, scope := range resource.Scopes {
			for _, s := range scope.Spans {
				if s.Trace == askersTrace {
					t[s.ID] = s
				}
			}
		}
	}
}

// way is the names from the asker to the span.
func (t tree) way(s span) string {
	if s.Parent == askersSpan {
		return "asked > " + s.Name
	}
	parent, is := t[s.Parent]
	if !is {
		return "? " + s.Parent + " > " + s.Name
	}
	return t.way(parent) + " > " + s.Name
}

// has wants a span to whose way these words belong, in this order.
func (t tree) has(words []string) error {
	for _, s := range t {
		rest, all := t.way(s), true
		for _, word := range words {
			_, after, is := strings.Cut(rest, word)
			rest, all = after, all && is
		}
		if all {
			return nil
		}
	}
	return fmt.Errorf("no span has the way %s", strings.Join(words, " > "))
}

// print is the tree below a span, a line each, in the order of their beginning.
func (t tree) print(parent, indent string) (lines []string) {
	var below []span
	for _, s := range t {
		if s.Parent == parent {
			below = append(below, s)
		}
	}
	slices.SortFunc(below, func(a, b span) int { return cmp.Compare(a.Start, b.Start) })
	for _, s := range below {
		lines = append(append(lines, indent+s.Name), t.print(s.ID, indent+"  ")...)
	}
	return lines
}
