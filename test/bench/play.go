package main

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/trestle-cni/trestle/test/bench/host"
)

// verbs are what is measured of each pod, in their order. AGAIN is a DEL of what is deleted already.
var verbs = []string{"ADD", "CHECK", "DEL", "AGAIN"}

// reached is what is measured of published ports: connections and first datagrams, through the first port and the last.
var reached = []string{"TCP first", "TCP last", "UDP first", "UDP last"}

// asked is what is measured of the operator's tool: commands that look at all who are present, and change nothing.
var asked = []string{"ls", "show pod0", "doctor", "gc", "metrics"}

// series are all that have a line: the verbs, MIX, which is ADDs and DELs by turns, flows, and the operator's commands.
var series = slices.Concat(verbs, []string{"MIX"}, reached, asked)

func (m *match) order(verb string, first, count int) host.Order {
	return host.Order{Verb: verb, Driver: m.driver, Dir: m.dir, Conflist: m.conflist(m.Column, m.network()), Mappings: m.Mappings, First: first, Count: count,
		Parallel: m.Parallel, Trace: m.Traced, Of: m.Of}
}

// play is one round.
func (m *match) play(random *rand.Rand) error {
	switch {
	case m.Mixed:
		return m.mix()
	case m.Reach:
		return m.begin(random)
	case m.driver == host.Tool:
		return m.ask()
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

// ask has the tool look.
func (m *match) ask() error {
	for _, command := range asked {
		out, err := m.host.Do(m.order(command, 0, 1))
		if err != nil {
			return err
		}
		m.record(command, out)
	}
	return nil
}

// begin has flows begin through the first port and the last, in an order that is drawn.
func (m *match) begin(random *rand.Rand) error {
	for _, i := range random.Perm(len(reached)) {
		network, port, _ := strings.Cut(reached[i], " ")
		out, err := m.host.Flows(m.through(strings.ToLower(network), port == "last"))
		if err != nil {
			return err
		}
		m.record(reached[i], out)
	}
	return nil
}

// through is a round's flows through the first port that is published or the last.
func (m *match) through(network string, last bool) host.Flows {
	f := host.Flows{Network: network, Mappings: m.Mappings, Count: m.Calls}
	if last {
		f.Pod, f.Port = m.Present-1, m.Mappings.Count-1
	}
	return f
}

func (m *match) record(verb string, out host.Outcome) {
	s := m.series[verb]
	if s == nil {
		s = &Series{Contestant: m.Contestant.Name, Column: m.Column, Verb: verb, Starts: m.starts, Named: m.named}
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
