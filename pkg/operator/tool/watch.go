package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/site"
	"github.com/trestle-cni/trestle/pkg/upkeep"
)

// watch stays, and makes again what is swept away as soon as the kernel says so.
func (r repairing) watch(ctx context.Context, out, complaints io.Writer, bundle plugin.Bundle) error {
	if !mayEnter() {
		return fault.New(fault.Internal, "run it as root", "repair: only root sees what is missing, and may make it")
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	say := func(line string) { fmt.Fprintln(out, safe(line)) }
	err := upkeep.Run(ctx, upkeep.Options{Run: site.Run, Names: slices.Sorted(maps.Keys(bundle)), Results: r.results, Say: say, Stir: newCollector().stir,
		Repair: func(ctx context.Context, left []string) error { return r.once(ctx, left, complaints, say) }})
	if errors.Is(err, upkeep.ErrOther) {
		return fault.New(fault.TryLater, "leave that one at its work, or end it first", "repair --watch: %w", err)
	}
	if err != nil {
		return fault.New(fault.Internal, "see whether nf_tables is in this kernel; trestle repair does it once", "repair --watch: %w", err)
	}
	return nil
}

// listed is of how many attachments a repair says each what was made again.
const listed = 5

// once is trestle repair in a process of its own, whose memory goes with it.
func (r repairing) once(ctx context.Context, left []string, complaints io.Writer, say func(string)) error {
	self, err := os.Readlink("/proc/self/exe") // by its name, which is how its changes of rules are known to be ours
	if err != nil {
		return err
	}
	names, err := json.Marshal(left)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, strings.TrimSuffix(self, " (deleted)"), "repair", "--json", "--leaving", "--results", r.results)
	var answer bytes.Buffer
	cmd.Stdin = bytes.NewReader(names)
	cmd.Stdout, cmd.Stderr = &answer, complaints
	failed := cmd.Run()
	var a repairAnswer
	if err := json.Unmarshal(answer.Bytes(), &a); err != nil {
		return fmt.Errorf("%w: %w", failed, err)
	}
	mended := 0
	for _, one := range a.Attachments {
		switch {
		case one.Fate == fateBad:
			say(fmt.Sprintf("not as it was made: %s: %s", one.Attachment, one.Error))
		case one.Fate == fateMended:
			if mended++; mended <= listed {
				say(one.again())
			}
		}
	}
	say(fmt.Sprintf("the plugins have looked at %d attachments, and made %d whole again", len(a.Attachments), mended))
	return nil // what is not as it was made was named
}
