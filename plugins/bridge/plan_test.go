package bridge

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/test/golden"
)

var update = golden.Update()

// TestPlans shows for each key, and for each way in which keys meet, the plan that comes of it.
func TestPlans(t *testing.T) {
	golden.Run(t, update, func(t *testing.T, c golden.Case) string {
		config, err := Parse(c.Request)
		if err != nil {
			return "refused: " + strings.ReplaceAll(err.Error(), "; ", "\n  ") + "\n"
		}
		call := callOf(c.Request)
		call.Result = c.Result
		p, err := Plan(config, call)
		if err != nil {
			return "refused: " + err.Error() + "\n"
		}
		stable(t, config, call, p)
		return golden.Print(p)
	})
}

func callOf(r *plugin.Request) attach.Call {
	return attach.Call{Owner: owner.Of(r.Network, r.ContainerID, r.IfName), IfName: r.IfName, Netns: r.Netns}
}

// stable holds what the verbs rely on: the kinds of steps are the same without a result, and the result that ADD returned leads to the
// same steps again.
func stable(t *testing.T, config Config, call attach.Call, p plan.Plan) {
	t.Helper()
	again := call
	again.Result = p.Result
	same, err := Plan(config, again)
	if err != nil {
		t.Fatalf("planned again: %v", err)
	}
	if diff := cmp.Diff(golden.Print(p), golden.Print(same)); diff != "" {
		t.Errorf("planned again from its own result (-first +second):\n%s", diff)
	}
	again.Result = nil
	bare, err := Plan(config, again)
	if err != nil {
		t.Fatalf("planned without a result: %v", err)
	}
	if diff := cmp.Diff(golden.Kinds(p), golden.Kinds(bare)); diff != "" {
		t.Errorf("kinds of steps without a result (-with +without):\n%s", diff)
	}
}

func TestKeysAreDocumented(t *testing.T) { golden.Documented(t) }
