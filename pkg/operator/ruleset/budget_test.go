package ruleset

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/kernel/nftconn"
	"github.com/trestle-cni/trestle/pkg/operator/budget"
	"github.com/trestle-cni/trestle/test/nstest"
)

func somePacket() Packet {
	return Packet{Source: netip.MustParseAddr("192.0.2.1"), Destination: netip.MustParseAddr("192.0.2.2"), Protocol: unix.IPPROTO_TCP,
		SourcePort: 1000, DestinationPort: 80, State: New, In: Link{Name: "lo"}}
}

// crowd is what somebody may fill a packet filter with: so many, each by asking for one more. Tables there are a hundred, since a kernel looks at all sets of
// one before it makes another.
type crowd struct {
	number int
	more   func(c *nftconn.Conn, number int)
}

func crowds() map[string]crowd {
	table := func(number int) *nftables.Table {
		return &nftables.Table{Name: fmt.Sprint("t", number%100), Family: nftables.TableFamilyIPv4}
	}
	long := strings.Repeat("x", 90)
	return map[string]crowd{
		"elements": {100_000, func(c *nftconn.Conn, number int) {
			set := &nftables.Set{Table: table(0), Name: "s", KeyType: nftables.TypeIPAddr}
			_ = c.SetAddElements(set, []nftables.SetElement{{Key: binary.BigEndian.AppendUint32(nil, uint32(number)), Comment: long}}) // what is wrong the kernel says
		}},
		"rules": {40_000, func(c *nftconn.Conn, number int) {
			c.AddRule(&nftables.Rule{Table: table(0), Chain: &nftables.Chain{Name: "c", Table: table(0)}, UserData: userdata.AppendString(nil, userdata.TypeComment, long),
				Exprs: []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4},
					&expr.Cmp{Register: 1, Data: binary.BigEndian.AppendUint32(nil, uint32(number))}, &expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop}}})
		}},
		"chains": {100_000, func(c *nftconn.Conn, number int) {
			c.AddChain(&nftables.Chain{Name: fmt.Sprint(long, number), Table: table(number)})
		}},
		"sets": {60_000, func(c *nftconn.Conn, number int) {
			_ = c.AddSet(&nftables.Set{Table: table(number), Name: fmt.Sprint(long, number)[80:], KeyType: nftables.TypeIPAddr}, nil)
		}},
	}
}

// TestHostileSizes has a filter that its owner has filled. It is not read whole, that is said, and no packet is said to be let pass. Each takes more memory than
// there is, so that a fast machine ends by that and a slow one by the time.
func TestHostileSizes(t *testing.T) {
	for name, all := range crowds() {
		t.Run(name, func(t *testing.T) {
			nstest.Run(t, func(t *testing.T) {
				all.fill(t)
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

// fill makes them all, at each go as many as may be sent in one datagram without root.
func (all crowd) fill(t *testing.T) {
	c, err := nftconn.Open()
	must(t, err)
	defer c.Close()
	for i := range 100 {
		c.AddTable(&nftables.Table{Name: fmt.Sprint("t", i), Family: nftables.TableFamilyIPv4})
	}
	first := &nftables.Table{Name: "t0", Family: nftables.TableFamilyIPv4}
	c.AddChain(&nftables.Chain{Name: "c", Table: first, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter})
	must(t, c.AddSet(&nftables.Set{Table: first, Name: "s", KeyType: nftables.TypeIPAddr}, nil))
	const atOnce = 250
	for i := range all.number {
		if all.more(c, i); i%atOnce == atOnce-1 {
			must(t, c.Flush())
		}
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
				nstest.Program(t, text.String(), "nft", "-f", "-")
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
