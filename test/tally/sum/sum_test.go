package sum

import (
	"fmt"
	"strings"
	"testing"
)

func TestTally(t *testing.T) {
	run := func(name, action string) string {
		return fmt.Sprintf(`{"Action":"output","Package":"p","Test":%q,"Output":"says %s\n"}{"Action":%q,"Package":"p","Test":%q}`, name, name, action, name)
	}
	end := func(action string) string {
		return fmt.Sprintf(`{"Action":"output","Package":"p","Output":"end of p\n"}{"Action":%q,"Package":"p"}`, action)
	}
	begin := func(name string) string {
		return fmt.Sprintf(`{"Action":"output","Package":"p","Test":%q,"Output":"x\n"}`, name)
	}
	for name, c := range map[string]struct{ events, want, sum string }{
		"all pass":        {run("A", "pass") + run("B", "pass") + end("pass"), "", "\n2 passed, 0 failed\n"},
		"subtests count":  {begin("A") + run("A/x", "pass") + run("A/y", "pass") + run("A", "pass") + end("pass"), "", "\n2 passed, 0 failed\n"},
		"leaf is blamed":  {begin("A") + run("A/x", "fail") + run("A", "fail") + end("fail"), "\n---- p A/x: failed\nsays A/x\n\n", "\n---- p A/x\n0 passed, 1 failed\n"},
		"parent alone":    {begin("A") + run("A/x", "pass") + run("A", "fail") + end("fail"), "\n---- p A: failed\nx\nsays A\n\n", "\n---- p A\n1 passed, 1 failed\n"},
		"skip is failure": {run("A", "skip") + end("pass"), "\n---- p A: skipped, which shows nothing\nsays A\n\n", "\n---- p A\n0 passed, 1 failed\n"},
		"package dies":    {run("A", "pass") + end("fail"), "\n---- p : failed\nend of p\n\n", "\n---- p \n1 passed, 1 failed\n"},
		"test hangs":      {begin("A") + end("fail"), "\n---- p A: did not end\nx\n\n", "\n---- p A\n0 passed, 1 failed\n"},
		"subtest hangs":   {begin("A") + begin("A/x") + end("fail"), "\n---- p A/x: did not end\nx\n\n", "\n---- p A/x\n0 passed, 1 failed\n"},
		"no test files":   {`{"Action":"output","Package":"p","Output":"?\n"}{"Action":"skip","Package":"p"}`, "", "\n0 passed, 0 failed\n"},
		"build fails": {
			`{"ImportPath":"p [p.test]","Action":"build-output","Output":"no such thing\n"}{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`,
			"\n---- p : failed\nno such thing\n\n", "\n---- p \n0 passed, 1 failed\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			tally := New(&out)
			if err := tally.Read(strings.NewReader(c.events), ""); err != nil {
				t.Fatal(err)
			}
			at := strings.Index(out.String()+"fail  p ", "fail  p ") // the package's line
			if at = min(at, strings.Index(out.String()+"pass  p ", "pass  p ")); out.String()[:at] != c.want {
				t.Errorf("while they run:\n%s\nwant\n%s", out.String()[:at], c.want)
			}
			out.Reset()
			tally.Report()
			if out.String() != c.sum {
				t.Errorf("at the end:\n%s\nwant\n%s", out.String(), c.sum)
			}
		})
	}
}

// A failure is printed when it happens, before the events that follow it.
func TestAtOnce(t *testing.T) {
	var out strings.Builder
	tally := New(&out)
	tally.take(event{Action: "output", Package: "p", Test: "A", Output: "why\n"})
	tally.take(event{Action: "fail", Package: "p", Test: "A"})
	if !strings.Contains(out.String(), "p A: failed\nwhy\n") {
		t.Errorf("printed: %q", out.String())
	}
}

// A long run says where its time went, by the functions; a short one has nothing to say.
func TestSpent(t *testing.T) {
	for seconds, want := range map[float64]string{
		30: "\n3 passed, 0 failed\n",
		80: "\nof 240 s, tests side by side counted each:\n 66.7 %     160 s  p A\n 33.3 %      80 s  p B\n\n3 passed, 0 failed\n",
	} {
		var out strings.Builder
		tally := New(&out)
		tally.take(event{Action: "output", Package: "p", Test: "A"})
		for _, name := range []string{"A/x", "A/y", "B"} {
			tally.take(event{Action: "output", Package: "p", Test: name})
			tally.take(event{Action: "pass", Package: "p", Test: name, Elapsed: seconds})
		}
		tally.take(event{Action: "pass", Package: "p", Test: "A", Elapsed: 2 * seconds})
		tally.Report()
		if out.String() != want {
			t.Errorf("%v s each:\n%s\nwant\n%s", seconds, out.String(), want)
		}
	}
}
