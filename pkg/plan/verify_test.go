package plan

import (
	"context"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/site"
)

// TestUnknownIsNoDrift holds that what could not be looked at is never called different, whatever kept it from being looked at and wherever in the plan
// it is: the code is another, the remedy harms nobody, and the cause is said.
func TestUnknownIsNoDrift(t *testing.T) {
	drift := fault.New(fault.Drift, "", "expected up, found down")
	for name, c := range map[string]struct {
		look error
		code uint
		text string
	}{
		"EPERM":                  {unix.EPERM, fault.Internal, "x: cannot be looked at: operation not permitted"},
		"ENOMEM":                 {fmt.Errorf("addresses: %w", unix.ENOMEM), fault.Internal, "x: cannot be looked at: addresses: cannot allocate memory"},
		"EMFILE":                 {&os.PathError{Op: "open", Path: "/proc/sys/x", Err: unix.EMFILE}, fault.Internal, "x: cannot be looked at: open /proc/sys/x: too many open files"},
		"ENOBUFS":                {unix.ENOBUFS, fault.Internal, "x: cannot be looked at: no buffer space available"},
		"the end of the call":    {context.DeadlineExceeded, fault.Internal, "x: cannot be looked at: context deadline exceeded"},
		"a lock":                 {fault.New(fault.TryLater, "", "locked"), fault.TryLater, "x: cannot be looked at: locked"},
		"a file":                 {fault.New(fault.IO, "mount it", "reservations: %w", unix.EIO), fault.IO, "x: cannot be looked at: reservations: input/output error"},
		"two":                    {fault.Join(unix.EPERM, unix.EIO), fault.Internal, "x: cannot be looked at: operation not permitted; input/output error"},
		"a drift":                {drift, fault.Drift, "x: expected up, found down"},
		"a drift beside":         {fault.Join(unix.EPERM, drift), fault.Drift, "x: expected up, found down"},
		"a drift beside, deeper": {fault.Join(fault.Join(drift, unix.EIO), unix.EPERM), fault.Drift, "x: expected up, found down"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			x := thing{world: w, name: "x", look: c.look}
			for where, p := range map[string]Plan{
				"ground": {Ground: []Step{x}}, "step": {Steps: []Step{x}}, "mendable": {Steps: []Step{wrapped{mendable{x}}}}, "carrier": {Steps: []Step{carrier{x}}}} {
				err := p.Verify(t.Context(), openSite(t, t.TempDir()))
				if fault.Code(err) != c.code || err.Error() != c.text || c.code != fault.Drift && fault.Hint(err) == addAgain {
					t.Errorf("%s: code %d, remedy %q: %v, want code %d: %s", where, fault.Code(err), fault.Hint(err), err, c.code, c.text)
				}
			}
			for _, p := range []Plan{{Footing: []Footing{x}}, {Steps: []Step{carrier{x}}}} {
				if err := p.Repair(t.Context(), openSite(t, t.TempDir())); fault.Code(err) != c.code || len(w.diary) > 0 {
					t.Errorf("repair: code %d: %v, did %v", fault.Code(err), err, w.diary)
				}
			}
		})
	}
}

// What is not known beside a drift is told to the operator, and is none of the drifts.
func TestUnknownBesideDrift(t *testing.T) {
	var said []string
	s, err := site.Open(site.Options{Run: t.TempDir(), Logf: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := newWorld()
	p := Plan{Ground: []Step{thing{world: w, name: "unseen", look: unix.EPERM}}, Steps: []Step{thing{world: w, name: "gone"}}}
	if err := p.Verify(t.Context(), s); err == nil || err.Error() != "gone: not there" || fault.Hint(err) != addAgain {
		t.Errorf("%v, remedy %q", err, fault.Hint(err))
	}
	if len(said) != 1 || said[0] != "unseen: cannot be looked at: operation not permitted" {
		t.Errorf("said %q", said)
	}
}
