package ruleset

import (
	"net/netip"
	"slices"
	"strings"
)

// Verdict is what a hook does with a packet.
type Verdict struct {
	Action Action `json:"action"`
	// Met are the rules that said something, in order; where the packet was dropped, the last one did it.
	Met []Met `json:"met,omitempty"`
	// Reason says, of Unknown, what it hangs on.
	Reason string `json:"reason,omitempty"`
	// Packet is the packet as it leaves the hook, with addresses and mark changed.
	Packet Packet `json:"-"`
	// Translated is true when a rule changed an address, and not what connection tracking knew.
	Translated bool `json:"translated,omitempty"`
}

// By returns the rule or policy that decided, the zero Met where none did.
func (v Verdict) By() Met {
	if len(v.Met) == 0 {
		return Met{}
	}
	return v.Met[len(v.Met)-1]
}

// doubtsBound is how many different walks are made of one packet, so that six things unknown may come to an answer.
const doubtsBound = 64

// Judge says what the hook does with the packet. k may be nil; then rules that ask it are not understood.
func (r *Ruleset) Judge(hook Hook, p Packet, k Kernel) Verdict {
	families := familiesOf(p.Source)
	if p.Bridged {
		families = []string{bridgeFamily}
	}
	return r.judge(r.stations(families, hook), hook, p, k)
}

// JudgeDevice is Judge for the hooks ingress and egress, which hang on one link.
func (r *Ruleset) JudgeDevice(hook Hook, device string, p Packet) Verdict {
	stations := slices.DeleteFunc(r.stations([]string{"netdev", "inet"}, hook), func(s station) bool { return !slices.Contains(s.Devices, device) })
	p.State = Invalid // connection tracking comes later
	return r.judge(stations, hook, p, nil)
}

func (r *Ruleset) judge(stations []station, hook Hook, p Packet, k Kernel) Verdict {
	var first *Verdict
	var answers []bool
	var doubt string
	left := mostSteps
	for range doubtsBound {
		w := &walk{packet: p, kernel: k, answers: answers, left: &left}
		v := w.hook(stations, hook)
		if first == nil {
			first = &v
		}
		if v.Action == Unknown {
			return v
		}
		if len(w.doubts) > 0 && doubt == "" {
			doubt = w.doubts[0]
		}
		if !v.same(first) {
			return Verdict{Action: Unknown, Met: v.Met, Reason: doubt, Packet: p}
		}
		if answers = next(w.answers[:w.asked]); answers == nil {
			return r.gaps(*first)
		}
	}
	return Verdict{Action: Unknown, Reason: doubt + ", and others use more", Packet: p}
}

// next are the answers of the next walk: the last no becomes a yes; nil when all was tried.
func next(answers []bool) []bool {
	answers = slices.Clone(answers)
	for len(answers) > 0 && answers[len(answers)-1] {
		answers = answers[:len(answers)-1]
	}
	if len(answers) == 0 {
		return nil
	}
	answers[len(answers)-1] = true
	return answers
}

// gaps makes a verdict unknown that could be another if all had been read.
func (r *Ruleset) gaps(v Verdict) Verdict {
	if len(r.Gaps) == 0 || v.Action != Accept {
		return v
	}
	return Verdict{Action: Unknown, Met: v.Met, Reason: "not all rules could be read: " + strings.Join(r.Gaps, "; "), Packet: v.Packet}
}

func (v *Verdict) same(other *Verdict) bool {
	a, b := v.Packet, other.Packet
	gone := v.Action != Accept && other.Action != Accept
	return gone || v.Action == other.Action && a.Source == b.Source && a.Destination == b.Destination && a.SourcePort == b.SourcePort &&
		a.DestinationPort == b.DestinationPort && a.Mark == b.Mark
}

// hook walks through all chains of a hook, and the kernel's own translation between them.
func (w *walk) hook(stations []station, hook Hook) Verdict {
	state := w.packet.State
	settled := state != New || w.packet.Settled
	for i, s := range stations {
		if settled && s.at() >= translation(hook) {
			w.known(hook)
		}
		w.look(hook, s.at(), state)
		if s.Type == "nat" && (settled || w.packet.State == Untracked || w.done(stations[:i])) {
			continue
		}
		switch result := w.base(s); result {
		case dropped:
			return w.verdict(Drop)
		case rejected:
			return w.verdict(Reject)
		case lost:
			return w.verdict(Unknown)
		}
	}
	if settled {
		w.known(hook)
	}
	w.look(hook, translateSource, state)
	return w.verdict(Accept)
}

// translation is the priority at which the kernel translates.
func translation(hook Hook) int32 {
	if hook == Prerouting || hook == Output {
		return translateDest
	}
	return translateSource
}

// look sets what a chain of the priority sees of connection tracking.
func (w *walk) look(hook Hook, priority int32, state State) {
	if w.packet.State == Untracked {
		return
	}
	w.packet.State = state
	if (hook == Prerouting || hook == Output) && priority <= conntrack {
		w.packet.State = Invalid // what a rule is told that asks before
	}
}

// done says whether a chain of the kind nat among those passed has translated.
func (w *walk) done(passed []station) bool {
	return w.moved && slices.ContainsFunc(passed, func(s station) bool { return s.Type == "nat" })
}

// known does, once, what connection tracking does with a packet of a connection that it translates.
func (w *walk) known(hook Hook) {
	to := w.packet.Back
	if !to.IsValid() || hook == Forward {
		return
	}
	w.packet.Back = netip.AddrPort{}
	if translation(hook) == translateDest {
		w.packet.Destination, w.packet.DestinationPort = to.Addr(), to.Port()
		return
	}
	w.packet.Source, w.packet.SourcePort = to.Addr(), to.Port()
}

func (w *walk) verdict(a Action) Verdict {
	return Verdict{Action: a, Met: w.met, Reason: w.reason, Packet: w.packet, Translated: w.moved}
}
