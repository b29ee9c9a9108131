package tool

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/site"
	"github.com/trestle-cni/trestle/pkg/upkeep"
)

func pauseCommand() *cobra.Command {
	var length time.Duration
	var why string
	c := &cobra.Command{
		Use:   "pause",
		Short: "Have trestle repair --watch leave all as it is for a while",
		Long: "What others sweep away meanwhile is not made again before the time is over, or trestle resume ends it; plugins go on as always, and what an ADD\n" +
			"needs it makes. The rest is over with the next boot, too. trestle doctor tells of one.",
		Example: "  trestle pause --for 30m --why 'a new ruleset is tried'\n  trestle pause --for 0s",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return pause(c.OutOrStdout(), length, why)
		},
	}
	c.Flags().DurationVar(&length, "for", time.Hour, "how long, as in 90s, 15m or 24h; 0s: until trestle resume")
	c.Flags().StringVar(&why, "why", "", "what doctor and the watch say besides")
	return c
}

func pause(out io.Writer, length time.Duration, why string) error {
	if length < 0 {
		return fault.New(fault.Config, "give a length of time, as 30m", "--for: %s: is over already", length)
	}
	p := upkeep.Pause{Since: time.Now().Round(time.Second), Why: why}
	if length > 0 {
		p.Until = p.Since.Add(length)
	}
	if err := p.Write(site.Run); err != nil {
		return fault.New(fault.IO, "run it as root", "pause: %w", err)
	}
	fmt.Fprintf(out, "repair --watch rests %s\n", safe(p.String()))
	return nil
}

func resumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "resume",
		Short: "End what trestle pause began, and have made again what went meanwhile",
		Long: "It also has the watch make again what it leaves alone because the same program deleted it again and again. Where there is no rest it says so, and\n" +
			"that is no error.",
		Example: "  trestle resume",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			was, err := upkeep.Resume(site.Run)
			if err != nil {
				return fault.New(fault.IO, "run it as root", "resume: %w", err)
			}
			text := "repair --watch goes on"
			if !was {
				text = "there is no rest; what repair --watch leaves alone is made again"
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), text)
			return err
		},
	}
}
