package plan

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/phase"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Repairable is the remedy of drifts that a Repair makes good: of the ground, and of what is Mendable. What else differs wants an ADD; and of what could not
// be looked at nothing is known to be wrong.
const (
	Repairable = "trestle repair"
	addAgain   = "delete the attachment and add it again"
	lookAgain  = "nothing is known to be wrong: mend what kept it from being looked at, and look again"
)

// Verify looks at every step and lists all that is not as it was made. Where nothing is, but something could not be looked at, the error is that one's.
func (p Plan) Verify(ctx context.Context, s *site.Site) error {
	var l look
	for i, step := range p.all() {
		err := step.Verify(ctx, s)
		if e, may := As[Excused](step); err != nil && may && e.Excused(ctx, s) {
			err = nil
		}
		remedy := addAgain
		if i < len(p.Ground) || is[Mendable](step) {
			remedy = Repairable
		}
		l.at(step, err, remedy)
		phase.End(ctx, "verify", step)
	}
	return l.verdict(s)
}

// look is what was found by looking at several things.
type look struct {
	drifts  []string
	unknown []error
	remedy  string // the one that makes all of the drifts good
}

// at takes in what a Verify said.
func (l *look) at(what fmt.Stringer, err error, remedy string) {
	drift, unknown := fault.Split(err, fault.Drift)
	if drift != nil {
		l.drifts = append(l.drifts, fmt.Sprintf("%s: %v", what, drift))
		if l.remedy != addAgain {
			l.remedy = remedy
		}
	}
	if unknown != nil {
		l.unknown = append(l.unknown, fmt.Errorf("%s: cannot be looked at: %w", what, unknown))
	}
}

// verdict is the drifts in one error. Beside them what is not known is only told to the operator.
func (l *look) verdict(s *site.Site) error {
	unknown := fault.Join(l.unknown...)
	switch {
	case len(l.drifts) > 0:
		for _, err := range l.unknown {
			s.Logf("%v", err)
		}
		return fault.New(fault.Drift, l.remedy, "%s", strings.Join(l.drifts, "; "))
	case unknown != nil:
		return &fault.Error{Code: fault.Code(unknown), Hint: cmp.Or(fault.Hint(unknown), lookAgain), Err: unknown}
	}
	return nil
}
