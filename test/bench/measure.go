package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/trestle-cni/trestle/test/bench/figure"
	"github.com/trestle-cni/trestle/test/bench/host"
)

// verbs are what is measured of each pod, in their order. AGAIN is a DEL of what is deleted already.
var verbs = []string{"ADD", "CHECK", "DEL", "AGAIN"}

// series are all that have a line: the verbs, and MIX, which is ADDs and DELs by turns.
var series = append(slices.Clone(verbs), "MIX")

// Result is what a scenario came to.
type Result struct {
	Scenario string   `json:"scenario"`
	Title    string   `json:"title"`
	Rounds   int      `json:"rounds"`
	Series   []Series `json:"series"`
	Notes    []string `json:"notes,omitempty"` // what was not measured, and why
}

// Series is one verb of one contestant in one column.
type Series struct {
	Contestant string  `json:"contestant"`
	Column     Column  `json:"column"`
	Verb       string  `json:"verb"`
	Starts     int     `json:"starts"` // processes that an ADD of this form starts
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
	r := &Result{Scenario: s.Name, Title: s.Title, Rounds: s.Rounds}
	var matches []*match
	defer func() {
		for _, m := range matches {
			m.host.Close()
		}
	}()
	for _, col := range s.Columns {
		for _, c := range w.contestants(s) {
			if c.driver == host.Program && col.Name != s.Columns[0].Name {
				continue // it is the same in every column
			}
			m, err := prepare(c, col, s.Rounds)
			if m != nil {
				matches = append(matches, m)
			}
			if err != nil {
				return nil, fmt.Errorf("%s, column %q: %w", c.Name, col.Name, err)
			}
		}
	}
	// One may feel what the kernel still has to do for the one before it, so each round has an order of its own.
	random := rand.New(rand.NewPCG(3, 4))
	for round := range s.Rounds {
		progress("%s: round %d of %d", s.Name, round+1, s.Rounds)
		for _, i := range random.Perm(len(matches)) {
			if err := matches[i].play(); err != nil {
				return nil, fmt.Errorf("%s: %w", matches[i].Name(), err)
			}
		}
	}
	progress("")
	for _, m := range matches {
		r.Series = append(r.Series, m.results()...)
	}
	return r, nil
}

// Name tells contestant and column.
func (m *match) Name() string { return m.Contestant.Name + " " + m.Column.Name }

// prepare makes the host, its pods, and those that are present before. None of it is measured.
func prepare(c Contestant, col Column, rounds int) (*match, error) {
	progress("%s %s: makes ready", c.Name, col.Name)
	h, err := host.Start()
	if err != nil {
		return nil, err
	}
	m := &match{Contestant: c, Column: col, host: h, series: make(map[string]*Series), first: col.Present}
	if err := h.Pods(col.Present + col.Calls*rounds); err != nil {
		return m, err
	}
	if err := m.fill(bridgeful); err != nil {
		return m, err
	}
	if c.driver == host.Floor {
		_, err = h.Do(m.order("LEARN", m.first, col.Calls*rounds))
	}
	return m, err
}

// bridgeful is how many of the pods that are present a network has: a bridge has 1,023 ports at the most (BR_MAX_PORTS, net/bridge/br_private.h).
const bridgeful = 1000

// fill attaches the pods that are present, in the host's process, so many to a network. The first network is that of the measured pods.
func (m *match) fill(each int) error {
	for first := 0; first < m.Present; first += each {
		progress("%s: %d of %d pods to begin with", m.Name(), first, m.Present)
		o := m.order("ADD", first, min(each, m.Present-first))
		o.Driver, o.Parallel, o.Conflist = host.Inside, 1, m.conflist(m.Column, first/each)
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

func (m *match) order(verb string, first, count int) host.Order {
	return host.Order{Verb: verb, Driver: m.driver, Dir: m.dir, Conflist: m.conflist(m.Column, 0), Mappings: m.Mappings, First: first, Count: count,
		Parallel: m.Parallel, Trace: m.Traced}
}

// play is one round.
func (m *match) play() error {
	if m.Mixed {
		return m.mix()
	}
	for _, verb := range verbs {
		if !m.lists && (verb == "CHECK" || verb == "AGAIN") || m.driver == host.Program && verb != "ADD" {
			continue
		}
		do := verb
		if verb == "AGAIN" {
			do = "DEL"
		}
		out, err := m.host.Do(m.order(do, m.first, m.Calls))
		if err != nil {
			return err
		}
		m.record(verb, out)
	}
	m.first += m.Calls
	return nil
}

// mix adds half of the round's pods, which is not measured, then deletes those and adds the others by turns, and clears away.
func (m *match) mix() error {
	half := m.Calls / 2
	if _, err := m.host.Do(m.order("ADD", m.first, half)); err != nil {
		return err
	}
	out, err := m.host.Do(m.order("MIX", m.first, m.Calls))
	if err != nil {
		return err
	}
	m.record("MIX", out)
	_, err = m.host.Do(m.order("DEL", m.first+half, half))
	m.first += m.Calls
	return err
}

func (m *match) record(verb string, out host.Outcome) {
	s := m.series[verb]
	if s == nil {
		s = &Series{Contestant: m.Contestant.Name, Column: m.Column, Verb: verb, Starts: m.starts}
		m.series[verb] = s
	}
	var seen []float64
	for _, d := range out.Seen {
		seen = append(seen, milliseconds(d))
	}
	s.Seen = append(s.Seen, seen)
	s.Rate = append(s.Rate, []float64{float64(len(out.Seen)) / out.Wall.Seconds()})
	s.cpu, s.calls = s.cpu+out.CPU, s.calls+len(out.Seen)+out.Failed
	s.Failed += out.Failed
	s.Execs = out.Execs
	if s.Error == "" {
		s.Error = strings.Join(strings.Fields(out.Error), " ")
	}
}

func (m *match) results() (list []Series) {
	for _, verb := range series {
		if s := m.series[verb]; s != nil {
			s.CPU = milliseconds(s.cpu) / float64(max(s.calls, 1))
			list = append(list, *s)
		}
	}
	return list
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// progress shows on standard error what is going on, where a person looks.
func progress(format string, args ...any) {
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		fmt.Fprintf(os.Stderr, "\r\x1b[K"+format, args...)
	}
}
