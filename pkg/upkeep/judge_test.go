package upkeep

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/nft"
)

// TestUnfinished has heals that others do not let end: what each has made is said at once, and when one ends the plugins are asked if any of them was to ask.
func TestUnfinished(t *testing.T) {
	one := firewall.Restored{Tables: []string{"inet trestle"}}
	partly := firewall.Restored{Tables: []string{"inet trestle"}, Partly: true}
	type attempt struct {
		who   string
		done  firewall.Restored
		err   error
		later bool
	}
	busy := errors.New("others go on")
	for name, c := range map[string]struct {
		attempts    []attempt
		said, asked string
	}{
		"at once":               {[]attempt{{"nft", one, nil, false}}, "made again: table inet trestle: nft", ""},
		"in part":               {[]attempt{{"nft", partly, nil, false}}, "made again: table inet trestle: nft", "nft"},
		"not at all":            {[]attempt{{"nft", firewall.Restored{}, busy, false}}, "could not make it again: others go on: nft", "nft"},
		"later":                 {[]attempt{{"nft", one, busy, true}, {"", firewall.Restored{}, nil, false}}, "made again: table inet trestle: nft", ""},
		"in part, then whole":   {[]attempt{{"nft", partly, busy, true}, {"", one, nil, false}}, "made again: table inet trestle: nft|made again: table inet trestle: nft", "nft"},
		"later and later":       {[]attempt{{"nft", partly, busy, true}, {"", firewall.Restored{}, busy, true}, {"", firewall.Restored{}, nil, false}}, "made again: table inet trestle: nft", "nft"},
		"by two":                {[]attempt{{"nft", one, busy, true}, {"ipset", one, nil, false}}, "made again: table inet trestle: nft|made again: table inet trestle: ipset; nft", ""},
		"what went, in the end": {[]attempt{{"nft", firewall.Restored{}, busy, true}, {"", firewall.Restored{}, busy, false}}, "could not make it again: others go on: nft", "nft"},
	} {
		var said []string
		w := &watch{Options: Options{Say: func(line string) {
			head, rest, timed := strings.Cut(line, ", in ")
			if _, why, is := strings.Cut(rest, " ms: "); timed && is {
				line = head + ": " + why
			}
			said = append(said, line)
		}}, keeper: nft.Keep(nft.Open()), mend: make(chan string, 1)}
		for i, a := range c.attempts {
			if len(w.mend) > 0 {
				t.Errorf("%s: the plugins were asked before it had ended, at attempt %d", name, i)
			}
			var who []string
			if a.who != "" {
				who = append(who, a.who)
			}
			w.conclude(who, a.done, a.err, time.Now(), a.later)
		}
		asked := ""
		if len(w.mend) > 0 {
			asked = <-w.mend
		}
		if got := strings.Join(said, "|"); got != c.said || asked != c.asked {
			t.Errorf("%s: said %q, asked %q; want %q, %q", name, got, asked, c.said, c.asked)
		}
		if w.open.asks || w.open.who != nil {
			t.Errorf("%s: left over: %+v", name, w.open)
		}
	}
}
