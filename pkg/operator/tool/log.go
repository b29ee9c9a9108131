package tool

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/journal"
	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/operator/logbook"
)

// logging is what the command log is asked for.
type logging struct {
	query                    logbook.Query
	since                    time.Duration
	follow, long, json, otlp bool
}

func logCommand() *cobra.Command {
	var l logging
	c := &cobra.Command{
		Use:   "log [WHAT]",
		Short: "Show what plugins did, to whom, and how it ended",
		Long: "A line for each verb that a runtime called, the oldest first. WHAT is a container's id or the beginning of it, a pod, a network, or an\n" +
			"address that was given. A host keeps the log when " + journal.Path + " says so: {\"log\": {\"to\": \"file\"}}, or \"journald\"; file and limit (bytes) may stand beside it.",
		Example: "  trestle log web\n  trestle log --since 1h --long\n  trestle log --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				l.query.Words = args[0]
			}
			if l.since < 0 {
				return fault.New(fault.Config, "give a length of time, as 1h", "--since: %s: is still to come", l.since)
			}
			if c.Flags().Changed("since") {
				l.query.Since = time.Now().Add(-l.since)
			}
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return l.run(ctx, c.OutOrStdout())
		},
	}
	c.Flags().DurationVar(&l.since, "since", 0, "what began so long ago at the most, as in 90s, 15m or 24h; 0s, with -f, what is to come")
	c.Flags().BoolVarP(&l.follow, "follow", "f", false, "then wait for what comes")
	c.Flags().BoolVar(&l.long, "long", false, "with what was made, removed and said")
	c.Flags().BoolVar(&l.otlp, "otlp", false, "spans in OpenTelemetry's JSON, of calls that their runtime traced")
	jsonFlag(c, &l.json)
	c.MarkFlagsMutuallyExclusive("json", "otlp", "long")
	return c
}

func (l logging) run(ctx context.Context, out io.Writer) error {
	log, err := journal.Read()
	if err != nil {
		return fault.New(fault.Config, "mend the file", "%w", err)
	}
	print, failed := l.printer(newScreen(out)), error(nil)
	each := func(e journal.Entry) bool {
		failed = print(e)
		return failed == nil
	}
	if l.follow {
		err = logbook.Follow(ctx, log, l.query, each)
	} else {
		err = logbook.Read(log, l.query, each)
	}
	if ctx.Err() != nil { // somebody has seen enough
		return nil
	}
	if err == nil {
		err = failed
	}
	return err
}

// printer is how an entry is printed. A line is printed when it is there: columns are as wide as they usually are.
func (l logging) printer(s screen) func(journal.Entry) error {
	switch {
	case l.json:
		return func(e journal.Entry) error { return printLine(s, e) }
	case l.otlp:
		return func(e journal.Entry) error {
			if t, traced := logbook.TracesOf(e, self); traced {
				return printLine(s, t)
			}
			return nil
		}
	}
	return func(e journal.Entry) error {
		_, err := fmt.Fprint(s, logLine(s, e, l.long))
		return err
	}
}

// printLine prints a value as one line of JSON.
func printLine(out io.Writer, value any) error {
	text, err := json.Marshal(value)
	if err == nil {
		_, err = out.Write(append(keys.Plain(text), '\n'))
	}
	return err
}

// logLine is an entry for a person: when, what, to whom, how long, and the outcome; below, what went wrong and, in the long form, all that was done.
func logLine(s screen, e journal.Entry, long bool) string {
	outcome := s.paint(green, "ok")
	if e.Code != 0 {
		outcome = s.paint(red, fmt.Sprintf("code %d", e.Code))
	}
	who := e.Container
	if len(who) > 12 {
		who = who[:12]
	}
	whom := strings.Join(strings.Fields(strings.Join([]string{who, e.Interface, e.Pod}, " ")), " ")
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  %s  %s  %s  %8.3f ms  %s\n", e.Time.Local().Format("2006-01-02 15:04:05.000"), pad(e.Verb, 6), pad(e.Plugin, 12), pad(e.Network, 12),
		pad(whom, 24), e.Millis, outcome)
	below := func(title string, lines ...string) {
		for _, line := range lines {
			if line != "" {
				fmt.Fprintf(&b, "    %-8s %s\n", title, safe(line))
			}
		}
	}
	below("error", e.Error)
	below("remedy", e.Remedy)
	if long {
		below("address", e.Addresses...)
		below("made", e.Made()...)
		below("removed", e.Removed()...)
		below("said", e.Said...)
	}
	return b.String()
}
