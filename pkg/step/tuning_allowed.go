package step

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
	"github.com/trestle-cni/trestle/pkg/site"
)

// AllowList is the operator's list of the settings that a network may ask for: a regular expression a line. Without it all below net are allowed.
const AllowList = "/etc/cni/tuning/allowlist.conf"

// Expressions compiles the lines of the list. It is package regexp, which the plugin tuning brings: who links it pays for it at each start.
type Expressions interface {
	Compile(line string) (Expression, error)
}

// Expression is one line of the list.
type Expression interface {
	MatchString(name string) bool
}

// Guard refuses a setting that is not allowed. It is for an ADD: what was made before the list was, is undone all the same.
func (t Tuned) Guard(_ context.Context, s *site.Site) error {
	if len(t.Sysctls) == 0 {
		return nil
	}
	text, err := plainfile.Read(AllowList)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	patterns, err := t.allowed(string(text))
	if err != nil {
		return err
	}
	for _, want := range t.Sysctls {
		if !want.among(patterns) {
			return fault.New(fault.Config, "add a line to "+AllowList+", or take it out of the network's configuration",
				"sysctl %s: not allowed by %s: %s", want.Name, AllowList, strings.Join(strings.Fields(fmt.Sprint(patterns)), " "))
		}
	}
	return nil
}

// Ready says whether an ADD would be allowed.
func (t Tuned) Ready(ctx context.Context, s *site.Site) error { return t.Guard(ctx, s) }

func (t Tuned) allowed(text string) (patterns []Expression, err error) {
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		pattern, err := t.Expressions.Compile(line)
		if err != nil {
			return nil, fault.New(fault.Config, "mend the line", "%s:%d: %w", AllowList, i+1, err)
		}
		patterns = append(patterns, pattern)
	}
	return patterns, nil
}

func (s Sysctl) among(patterns []Expression) bool {
	for _, p := range patterns {
		if p.MatchString(s.Name) {
			return true
		}
	}
	return false
}
