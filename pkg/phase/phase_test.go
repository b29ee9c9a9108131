package phase

import (
	"context"
	"regexp"
	"strings"
	"testing"
)

func TestPhases(t *testing.T) {
	var out strings.Builder
	End(t.Context(), "not watched")
	End(Watch(t.Context(), map[string]string{}, &out, "silent"), "not asked for")
	env := map[string]string{Variable: "1"}
	outer := Watch(t.Context(), env, &out, "chain")
	inner := Watch(outer, env, &out, "bridge")
	End(inner, "guard")
	End(context.WithoutCancel(inner), "apply:", step{})
	End(outer, "bridge")
	want := `^trestle chain: \d+\.\d{3} ms start of the process \(processor time\)
trestle bridge: \d+\.\d{3} ms guard
trestle bridge: \d+\.\d{3} ms apply: a step
trestle chain: \d+\.\d{3} ms bridge
$`
	if !regexp.MustCompile(want).MatchString(out.String()) {
		t.Errorf("%s\nwant %s", out.String(), want)
	}
}

type step struct{}

func (step) String() string { return "a step" }

// What nobody reads costs nothing that a step allocates.
func TestUnread(t *testing.T) {
	watched := Watch(t.Context(), nil, nil, "bridge")
	for _, ctx := range []context.Context{context.Background(), watched} {
		if n := testing.AllocsPerRun(100, func() { End(ctx, "guard") }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}
