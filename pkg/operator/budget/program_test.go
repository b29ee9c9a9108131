package budget

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// TestOutput runs programs that print, or work, without end, and some that do not.
func TestOutput(t *testing.T) {
	for name, c := range map[string]struct {
		script, out, says string
		left              *Budget
	}{
		"prints little":              {script: "echo hello", out: "hello\n", left: New()},
		"prints nothing":             {script: ":", left: New()},
		"prints without end":         {script: "yes", says: "not read whole: takes more than 64 MB", left: New()},
		"works without end":          {script: "while :; do :; done", says: "not read whole: takes more than 1s", left: New()},
		"fails":                      {script: "echo hello; exit 3", out: "hello\n", says: "exit status 3", left: New()},
		"of the host, prints little": {script: "echo hello", out: "hello\n"},
		"of the host, prints much":   {script: "yes | head -c 20000000", out: strings.Repeat("y\n", 10_000_000)},
		"after all is spent":         {script: "echo hello", says: "not read whole: takes more than 64 MB", left: &Budget{until: 1 << 60}},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := c.left.Output(exec.Command("sh", "-c", c.script))
			if string(out) != c.out || (err == nil) != (c.says == "") || err != nil && err.Error() != c.says {
				t.Errorf("%d bytes, %v; want %d, %q", len(out), err, len(c.out), c.says)
			}
			if strings.HasPrefix(c.says, "not read") != errors.Is(err, ErrOver) {
				t.Errorf("%v is said to be the end of the budget: %t", err, errors.Is(err, ErrOver))
			}
		})
	}
	if _, err := New().Output(exec.Command("/does/not/exist")); err == nil {
		t.Error("a program that is not there: no error")
	}
}
