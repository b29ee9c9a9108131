package site

import (
	"errors"
	"testing"

	"github.com/vishvananda/netlink"
)

func TestInterruptedDumpIsRepeated(t *testing.T) {
	lost := errors.New("lost")
	for name, answers := range map[string][]error{
		"at once":              {nil},
		"changed while listed": {netlink.ErrDumpInterrupted, netlink.ErrDumpInterrupted, nil},
		"failed":               {netlink.ErrDumpInterrupted, lost},
	} {
		calls := 0
		_, err := whole(func() ([]int, error) { calls++; return nil, answers[calls-1] })
		if last := answers[len(answers)-1]; calls != len(answers) || err != last {
			t.Errorf("%s: %d calls, %v, want %d and %v", name, calls, err, len(answers), last)
		}
	}
}
