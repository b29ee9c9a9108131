package agent

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/cmd/trestle-node/kube"
	"github.com/trestle-cni/trestle/cmd/trestle-node/kube/apitest"
	"github.com/trestle-cni/trestle/pkg/fault"
)

// report is what a Node says after so much time: a boot, and of which machine.
type report struct {
	after      time.Duration
	boot, uuid string
}

// What a host makes of the reports in its Node, of which the last one counts. This machine is A, under its second boot; B has its name.
func TestIdentity(t *testing.T) {
	const ten = 10 * time.Second
	mine, before, other, clone := report{ten, "A2", "A"}, report{ten, "A1", "A"}, report{ten, "B1", "B"}, report{ten, "B1", "a"}
	after := func(d time.Duration, r report) report { r.after = d; return r }
	for name, c := range map[string]struct {
		here    Machine
		reports []report
		code    uint
		text    string
	}{
		"no kubelet":                             {Machine{"A2", "A"}, []report{{}}, 0, ""},
		"ours":                                   {Machine{"A2", "A"}, []report{mine, mine}, 0, ""},
		"in other letters":                       {Machine{"a2", "a"}, []report{mine}, 0, ""},
		"not told since a reboot":                {Machine{"A2", "A"}, []report{before}, fault.TryLater, "has rebooted since"},
		"a reboot":                               {Machine{"A2", "A"}, []report{before, mine}, 0, ""},
		"another machine":                        {Machine{"A2", "A"}, []report{other}, fault.Taken, "is another machine (boot B1, UUID B)"},
		"another machine, and ours at once":      {Machine{"A2", "A"}, []report{other, mine}, fault.Taken, "was another machine within 1m0s"},
		"by turns":                               {Machine{"A2", "A"}, []report{other, mine, other, mine}, fault.Taken, "was another machine"},
		"another machine, and ours for a minute": {Machine{"A2", "A"}, []report{other, mine, after(calm, mine)}, 0, ""},
		"a clone that began later":               {Machine{"A2", "A"}, []report{mine, clone}, fault.Taken, "is another machine (boot B1, UUID a)"},
		"a clone that was first":                 {Machine{"A2", "A"}, []report{clone}, fault.TryLater, "has rebooted since"},
		"a clone that was first, by turns":       {Machine{"A2", "A"}, []report{clone, mine, clone, mine}, fault.Taken, "was another machine"},
		"machines without UUID":                  {Machine{"A2", ""}, []report{mine, other}, fault.Taken, "is another machine"},
		"one that was first, without UUID":       {Machine{"A2", ""}, []report{other}, fault.TryLater, "has rebooted since"},
		"reports that end":                       {Machine{"A2", "A"}, []report{other, {}}, 0, ""},
		"a machine that we cannot tell":          {Machine{"", "A"}, []report{other}, 0, ""},
	} {
		i, now := identity{Machine: c.here}, time.Now()
		var err error
		for _, r := range c.reports {
			now = now.Add(r.after)
			err = i.own(kube.Node{Name: "n1", Boot: r.boot, UUID: r.uuid}, now)
		}
		if err == nil && c.code == 0 {
			continue
		}
		if err == nil || fault.Code(err) != c.code || !strings.Contains(err.Error(), c.text) || fault.Hint(err) == "" {
			t.Errorf("%s: code %d, %v, want code %d, %q and a remedy", name, fault.Code(err), err, c.code, c.text)
		}
	}
}

// Two machines whose kubelets have one Node: each sees it be the other, hands out nothing from then on, and leaves its ways as they are: what is asked of
// the Node then is the other's business. Both say so.
func TestMemberClone(t *testing.T) {
	a := apitest.Start(t, "")
	a.Put("n1", "10.0.1.0/24")
	a.Report("n1", "boot-1", "A")
	one, two := newHost(t), newHost(t)
	one.member.Machine, two.member.Machine = Machine{"boot-1", "A"}, Machine{"boot-2", "B"}
	others := netip.MustParseAddr("192.0.2.9")
	one.member.Reach = func(context.Context, []netip.Addr) (Reach, MTU, error) { return without{t, others}, WholeMTU, nil }
	one.start(a)
	one.hear(listed)
	two.start(a)
	two.hear("is another machine (boot boot-1, UUID A)")
	if two.list() != "" || strings.Contains(two.ranges(), "subnet") {
		t.Errorf("the second has\n%s\n%s", two.list(), two.ranges())
	}
	a.Report("n1", "boot-2", "B")
	one.hear("node n1: is another machine (boot boot-2, UUID B), and here is boot boot-1, UUID A")
	two.hear("was another machine within")
	a.Put("n1", "10.0.9.0/24", others.String()) // as the other's controller has it
	a.Report("n1", "boot-1", "A")
	one.hear("was another machine within")
	for _, h := range []*hosted{one, two} {
		if err := h.member.Life.Ready(); err == nil || !strings.Contains(err.Error(), "another machine") {
			t.Errorf("is ready: %v", err)
		}
		if strings.Contains(h.ranges(), "subnet") {
			t.Errorf("hands out of %s", h.ranges())
		}
	}
	if one.list() == "" {
		t.Error("what runs cannot be deleted without a list")
	}
}

// without is a Reach that is never told of the address.
type without struct {
	t    *testing.T
	addr netip.Addr
}

func (w without) Set(_ context.Context, blocks []Neighbour) error {
	for _, b := range blocks {
		if slices.Contains(b.Via, w.addr) {
			w.t.Errorf("a way leads by %s: %+v", w.addr, b)
		}
	}
	return nil
}

// This machine is that of a kubelet's report: the boot is in the kernel's form.
func TestThisMachine(t *testing.T) {
	m, err := ThisMachine()
	if err != nil || len(m.Boot) != 36 {
		t.Errorf("%+v, %v", m, err)
	}
}
