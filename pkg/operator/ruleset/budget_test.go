package ruleset

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/operator/budget"
	"github.com/trestle-cni/trestle/test/nstest"
)

func somePacket() Packet {
	return Packet{Source: netip.MustParseAddr("192.0.2.1"), Destination: netip.MustParseAddr("192.0.2.2"), Protocol: unix.IPPROTO_TCP,
		SourcePort: 1000, DestinationPort: 80, State: New, In: Link{Name: "lo"}}
}

// Whoever owns a namespace may fill it: a set of two hundred thousand elements, a chain of forty thousand rules. It is not read whole, that is said, and no
// packet is said to be let pass. Either takes more memory than there is, so that a fast machine ends by that and a slow one by the time. On the rest the
// kernel, which for every part of a dump begins anew to look for its place, would work for seconds.
func TestHostileSizes(t *testing.T) {
	for name, one := range map[string]string{
		"elements": "add element ip t s { 10.%d.%d.%d . 80 comment \"" + strings.Repeat("x", 100) + "\" }\n",
		"rules":    "add rule ip t c ip saddr 10.%d.%d.%d tcp dport 80 counter drop\n",
	} {
		t.Run(name, func(t *testing.T) {
			nstest.Run(t, func(t *testing.T) {
				fill(t, one, map[string]int{"elements": 200_000, "rules": 40_000}[name])
				runtime.LockOSThread() // whose time is counted
				defer runtime.UnlockOSThread()
				began := budget.Processor()
				r, err := Read(t.Context(), budget.New())
				must(t, err)
				if len(r.Gaps) != 1 || !strings.Contains(r.Gaps[0], "not read whole: takes more than") {
					t.Fatalf("gaps %q", r.Gaps)
				}
				if took := budget.Processor() - began; took > 2*budget.Time {
					t.Errorf("it took the processor %v", took)
				}
				if v := r.Judge(Input, somePacket(), nil); v.Action != Unknown || !strings.Contains(v.Reason, r.Gaps[0]) {
					t.Errorf("judged %s: %s", v.Action, v.Reason)
				}
			})
		})
	}
}

// fill makes so many, at each go as many as may be sent in one datagram without root.
func fill(t *testing.T, one string, number int) {
	pipe(t, "add table ip t\nadd chain ip t c { type filter hook input priority 0; }\nadd set ip t s { type ipv4_addr . inet_service; }\n", "nft", "-f", "-")
	const atOnce = 500
	for i := 0; i < number; i += atOnce {
		var text strings.Builder
		for j := i; j < i+atOnce; j++ {
			fmt.Fprintf(&text, one, j>>16, j>>8&255, j&255)
		}
		pipe(t, text.String(), "nft", "-f", "-")
	}
}

// A tree of jumps has few rules, and a packet asks each of them thousands of times.
func TestHostileTree(t *testing.T) {
	for name, jump := range map[string]string{"rules": "jump", "maps": "meta l4proto vmap { tcp : jump"} {
		t.Run(name, func(t *testing.T) {
			nstest.Run(t, func(t *testing.T) {
				var text strings.Builder
				text.WriteString("table ip t {\n chain c12 { }\n")
				for level := 11; level >= 0; level-- {
					hook := ""
					if level == 0 {
						hook = "type filter hook input priority 0; "
					}
					fmt.Fprintf(&text, " chain c%d { %s\n", level, hook)
					for range 4 {
						fmt.Fprintf(&text, "%s c%d%s\n", jump, level+1, strings.Repeat(" }", strings.Count(jump, "{")))
					}
					text.WriteString("}\n")
				}
				text.WriteString("}\n")
				pipe(t, text.String(), "nft", "-f", "-")
				runtime.LockOSThread() // whose time is counted
				defer runtime.UnlockOSThread()
				r, err := Read(t.Context(), budget.New())
				must(t, err)
				began := budget.Processor()
				if v := r.Judge(Input, somePacket(), nil); v.Action != Unknown || !strings.Contains(v.Reason, "more than 200000 rules") {
					t.Errorf("judged %s: %s", v.Action, v.Reason)
				}
				if took := budget.Processor() - began; took > budget.Time {
					t.Errorf("it took the processor %v", took)
				}
			})
		})
	}
}
