package sum

import (
	"fmt"
	"io"
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
	for name, c := range map[string]struct{ events, want string }{
		"all pass":        {run("A", "pass") + run("B", "pass") + end("pass"), "\n2 passed, 0 failed\n"},
		"subtests count":  {run("A/x", "pass") + run("A/y", "pass") + run("A", "pass") + end("pass"), "\n2 passed, 0 failed\n"},
		"leaf is blamed":  {run("A/x", "fail") + run("A", "fail") + end("fail"), "\n---- p A/x: failed\nsays A/x\n\n0 passed, 1 failed\n"},
		"parent alone":    {run("A/x", "pass") + run("A", "fail") + end("fail"), "\n---- p A: failed\nsays A\n\n1 passed, 1 failed\n"},
		"skip is failure": {run("A", "skip") + end("pass"), "\n---- p A: skipped, which shows nothing\nsays A\n\n0 passed, 1 failed\n"},
		"package dies":    {run("A", "pass") + end("fail"), "\n---- p : failed\nend of p\n\n1 passed, 1 failed\n"},
		"test hangs":      {`{"Action":"output","Package":"p","Test":"A","Output":"x\n"}` + end("fail"), "\n---- p A: did not end\nx\n\n0 passed, 1 failed\n"},
		"no test files":   {`{"Action":"output","Package":"p","Output":"?\n"}{"Action":"skip","Package":"p"}`, "\n0 passed, 0 failed\n"},
		"build fails": {
			`{"ImportPath":"p [p.test]","Action":"build-output","Output":"no such thing\n"}{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`,
			"\n---- p : failed\nno such thing\n\n0 passed, 1 failed\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tally := New()
			if err := tally.Read(strings.NewReader(c.events), io.Discard, ""); err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			tally.Report(&got)
			if got.String() != c.want {
				t.Errorf("got\n%s\nwant\n%s", got.String(), c.want)
			}
		})
	}
}
