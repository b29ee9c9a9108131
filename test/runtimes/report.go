package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/trestle-cni/trestle/test/slack"
)

// limit is what all runtimes together may take, on a busy machine too: at rest Debian's take three minutes. In an emulator one alone takes ten.
func limit() time.Duration { return max(15*time.Minute, slack.Of(75*time.Second)) }

// try runs the checks of each runtime on a host of its own, and prints a line for each as it ends. The plugins are copied first: their
// directory may be one that private hosts hide.
func (o order) try(name, plugins string) (verdicts []Verdict, err error) {
	there := filepath.Join(o.work, "tried-"+name)
	if err := errors.Join(os.RemoveAll(there), os.CopyFS(there, os.DirFS(plugins))); err != nil {
		return nil, err
	}
	most := limit()
	ctx, cancel := context.WithTimeoutCause(context.Background(), most, fmt.Errorf("not done after %v", most))
	defer cancel()
	for _, runtime := range o.runtimes {
		read, write := io.Pipe()
		done := make(chan error, 1)
		go func() {
			err := inside(ctx, write, o.work, there, runtime, o.only, o.skip, o.record)
			write.CloseWithError(errors.Join(err, io.EOF))
			done <- err
		}()
		for decoder := json.NewDecoder(read); ; {
			var v Verdict
			if decoder.Decode(&v) != nil {
				break
			}
			fmt.Println(v)
			verdicts = append(verdicts, v)
		}
		if err := <-done; err != nil {
			v := Verdict{Runtime: runtime, Check: "the run as a whole", Reason: err.Error()}
			fmt.Println(v)
			verdicts = append(verdicts, v)
		}
	}
	return verdicts, nil
}

// String is the line that a person reads; what failed has its reason below it, and so has what was said where that is looked at.
func (v Verdict) String() string {
	line := fmt.Sprintf("%s  %-14s  %-60s %6.2fs", word(v.Passed), v.Runtime, v.Check, v.Seconds)
	if v.Reason != "" {
		line += "\n      " + strings.ReplaceAll(strings.TrimSpace(v.Reason), "\n", "\n      ")
	}
	for _, said := range v.Said {
		line += "\n      " + said
	}
	return line
}

func word(passed bool) string {
	if passed {
		return "PASS"
	}
	return "FAIL"
}

// table has a line for each check that the two sets of plugins did not both pass.
func table(out io.Writer, ours, others []Verdict) {
	other := make(map[[2]string]bool)
	for _, v := range others {
		other[[2]string{v.Runtime, v.Check}] = v.Passed
	}
	fmt.Fprintf(out, "\n%-14s  %-60s  %-6s  %s\n", "runtime", "check (those that both pass are left out)", "these", "beside")
	for _, v := range ours {
		passed, tried := other[[2]string{v.Runtime, v.Check}]
		beside := word(passed)
		if !tried {
			beside = "-" // it did not get that far
		}
		if !v.Passed || !passed {
			fmt.Fprintf(out, "%-14s  %-60s  %-6s  %s\n", v.Runtime, v.Check, word(v.Passed), beside)
		}
	}
}

// counts has a line for each runtime.
func counts(out io.Writer, runtimes []string, ours, others []Verdict) {
	fmt.Fprintln(out)
	for _, runtime := range runtimes {
		passed, failed := count(runtime, ours)
		fmt.Fprintf(out, "%-14s  %3d passed, %d failed", runtime, passed, failed)
		if others != nil {
			passed, failed = count(runtime, others)
			fmt.Fprintf(out, "   (beside: %d passed, %d failed)", passed, failed)
		}
		fmt.Fprintln(out)
	}
}

func count(runtime string, verdicts []Verdict) (passed, failed int) {
	for _, v := range verdicts {
		switch {
		case v.Runtime != runtime:
		case v.Passed:
			passed++
		default:
			failed++
		}
	}
	return passed, failed
}
