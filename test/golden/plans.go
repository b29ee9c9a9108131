package golden

import (
	"strings"
	"testing"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/plan"
)

// Plans shows for each case the plan that a plugin of a chain's first place makes of it, which must have the same kinds of steps without a result (law 7)
// and be the same again from its own result (law 9).
func Plans[C any](t *testing.T, update *bool, kind attach.Kind[C]) {
	Run(t, update, func(t *testing.T, c Case) string {
		config, err := kind.Parse(c.Request)
		if err != nil {
			return "refused: " + strings.ReplaceAll(err.Error(), "; ", "\n  ") + "\n"
		}
		r := c.Request
		plan := func(result *types100.Result) (plan.Plan, error) {
			return kind.Plan(config, attach.Call{Owner: owner.Of(r.Network, r.ContainerID, r.IfName), IfName: r.IfName, Netns: r.Netns, Result: result})
		}
		p, err := plan(c.Result)
		if err != nil {
			return "refused: " + err.Error() + "\n"
		}
		stable(t, p, plan)
		return Print(p)
	})
}

// stable plans again from the plan's own result, which CHECK, and a DEL with a prevResult, have; and without any, as a DEL of containerd's.
func stable(t *testing.T, p plan.Plan, again func(*types100.Result) (plan.Plan, error)) {
	t.Helper()
	same, err := again(p.Result)
	if err != nil {
		t.Fatalf("planned again: %v", err)
	}
	if diff := cmp.Diff(Print(p), Print(same)); diff != "" {
		t.Errorf("planned again from its own result (-first +second):\n%s", diff)
	}
	bare, err := again(nil)
	if err != nil {
		t.Fatalf("planned without a result: %v", err)
	}
	if diff := cmp.Diff(Kinds(p), Kinds(bare)); diff != "" {
		t.Errorf("kinds of steps without a result (-with +without):\n%s", diff)
	}
}
