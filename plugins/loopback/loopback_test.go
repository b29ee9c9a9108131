package loopback

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/attach"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/test/golden"
)

var update = golden.Update()

// TestPlans shows the plan with and without a result of the plugins before.
func TestPlans(t *testing.T) {
	golden.Run(t, update, func(t *testing.T, c golden.Case) string {
		config, err := Parse(c.Request)
		if err != nil {
			t.Fatal(err)
		}
		r := c.Request
		p, err := Plan(config, attach.Call{Owner: owner.Of(r.Network, r.ContainerID, r.IfName), IfName: r.IfName, Netns: r.Netns, Result: c.Result})
		if err != nil {
			t.Fatal(err)
		}
		bare, err := Plan(config, attach.Call{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(golden.Kinds(p), golden.Kinds(bare)); diff != "" {
			t.Errorf("kinds of steps (-for the call +without anything known):\n%s", diff)
		}
		return golden.Print(p)
	})
}
