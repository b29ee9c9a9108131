package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/trestle-cni/trestle/test/bench/figure"
	"github.com/trestle-cni/trestle/test/bench/host"
)

// Result is what a scenario came to.
type Result struct {
	Scenario string `json:"scenario"`
	Title    string `json:"title"`
	Rounds   int    `json:"rounds"`
	// Took is the time of all, with what is not measured: hosts made ready.
	Took   time.Duration `json:"took"`
	Series []Series      `json:"series"`
	Notes  []string      `json:"notes,omitempty"` // what was not measured, and why

	printed string // once it was asked for
}

// Series is one verb of one contestant in one column.
type Series struct {
	Contestant string  `json:"contestant"`
	Column     Column  `json:"column"`
	Verb       string  `json:"verb"`
	Starts     int     `json:"starts"` // processes that an ADD of this form starts
	Named      int     `json:"named"`  // plugins that the conflist names
	Failed     int     `json:"failed"`
	Error      string  `json:"error,omitempty"`
	Execs      int     `json:"execs,omitempty"`
	CPU        float64 `json:"cpu"` // milliseconds of the processes started, a call
	// Seen are milliseconds as a runtime sees them, by rounds; Rate is calls a second of each round.
	Seen figure.Rounds `json:"seen"`
	Rate figure.Rounds `json:"rate"`

	calls int
	cpu   time.Duration
}

// match is one contestant in one column, with a host of its own.
type match struct {
	Contestant
	Column
	host   *host.Host
	series map[string]*Series
	first  int // pod of the next round
}

// measure carries out a scenario: all hosts are made ready, and then round by round each has its turn.
func measure(s Scenario, w works) (*Result, error) {
	began := time.Now()
	matches, err := s.ready(w)
	defer func() {
		for _, m := range matches {
			m.host.Close() // of those who share it the second time is in vain
		}
	}()
	if err != nil {
		return nil, err
	}
	// One may feel what the kernel still has to do for the one before it, so each round has an order of its own.
	random := rand.New(rand.NewPCG(3, 4))
	for round := range s.Rounds {
		progress("%s: round %d of %d", s.Name, round+1, s.Rounds)
		for _, i := range random.Perm(len(matches)) {
			if err := matches[i].play(random); err != nil {
				return nil, fmt.Errorf("%s: %w", matches[i].Name(), err)
			}
		}
	}
	progress("")
	r := &Result{Scenario: s.Name, Title: s.Title, Rounds: s.Rounds, Took: time.Since(began).Round(time.Second), Notes: s.notes()}
	for _, m := range matches {
		r.Series = append(r.Series, m.results()...)
	}
	return r, nil
}

// ready makes all hosts ready. What it returns beside an error is to be closed, too.
func (s Scenario) ready(w works) (matches []*match, err error) {
	for _, col := range s.Columns {
		var ours *match
		for _, c := range w.contestants(s) {
			if c.driver == host.Program && col.Name != s.Columns[0].Name || c.peer && col.alone {
				continue // a program's start is the same in every column
			}
			var beside *match
			if s.shared && !c.peer {
				beside = ours
			}
			m, err := prepare(c, col, s.Rounds, beside)
			if m != nil {
				matches = append(matches, m)
			}
			if err != nil {
				return matches, fmt.Errorf("%s, column %q: %w", c.Name, col.Name, err)
			}
			if !c.peer {
				ours = m
			}
		}
	}
	return matches, nil
}

// notes says what peers are not measured in.
func (s Scenario) notes() []string {
	var without []string
	for _, col := range s.Columns {
		if col.alone {
			without = append(without, col.Name)
		}
	}
	if without == nil || s.why == "" {
		return nil
	}
	return []string{"without peers: " + strings.Join(without, ", ") + ": " + s.why}
}

// Name tells contestant and column.
func (m *match) Name() string { return m.Contestant.Name + " " + m.Column.Name }

// prepare makes the host, its pods, and those that are present before; or further pods on the host of another match. None of it is measured.
func prepare(c Contestant, col Column, rounds int, beside *match) (m *match, err error) {
	progress("%s %s: makes ready", c.Name, col.Name)
	m = &match{Contestant: c, Column: col, series: make(map[string]*Series), first: col.Present}
	if beside != nil {
		m.host, m.first = beside.host, beside.first+col.Calls*rounds
	} else if m.host, err = host.Start(); err != nil {
		return nil, err
	}
	pods := m.first
	if !col.Reach {
		pods += col.Calls * rounds
	}
	err = m.host.Pods(pods)
	if beside == nil {
		err = errors.Join(err, m.fill(bridgeful))
	}
	switch {
	case err != nil:
	case col.Reach:
		err = errors.Join(m.host.Reach(m.through("tcp", false)), m.host.Reach(m.through("tcp", true)))
	case c.driver == host.Floor:
		_, err = m.host.Do(m.order("LEARN", m.first, col.Calls*rounds))
	}
	return m, err
}

// bridgeful is how many of the pods that are present a network has: a bridge has 1,023 ports at the most (BR_MAX_PORTS, net/bridge/br_private.h).
const bridgeful = 1000

// fill attaches the pods that are present, so many to a network: a peer's by the peer, ours in the host's process, which leaves the same
// and is quicker.
func (m *match) fill(each int) error {
	step := min(50, each) // between two lines of progress
	for first := 0; first < m.Present; first += step {
		progress("%s: %d of %d pods to begin with", m.Name(), first, m.Present)
		o := m.order("ADD", first, min(step, m.Present-first))
		o.Parallel, o.Trace, o.Conflist = runtime.NumCPU(), false, m.conflist(m.Column, first/each)
		if !m.peer {
			o.Driver = host.Inside
		}
		out, err := m.host.Do(o)
		if err == nil && out.Failed > 0 {
			err = fmt.Errorf("%d failed: %s", out.Failed, out.Error)
		}
		if err != nil {
			return fmt.Errorf("%d pods to begin with: %w", m.Present, err)
		}
	}
	return nil
}

// progress shows on standard error what is going on, where a person looks.
func progress(format string, args ...any) {
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		fmt.Fprintf(os.Stderr, "\r\x1b[K"+format, args...)
	}
}
