package tool

import (
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/pkg/journal"
	"github.com/trestle-cni/trestle/pkg/operator/draw"
	"github.com/trestle-cni/trestle/pkg/operator/meter"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/operator/page"
)

// Whatever a name holds, a terminal is told nothing by it.
func TestNamesSteerNoTerminal(t *testing.T) {
	strange := "a\x1b[31mb\x07\u202ec\xff\td"
	want := `a\x1b[31mb\a\u202ec\ufffd\td`
	if got := safe(strange); got != want {
		t.Errorf("safe: %q, want %q", got, want)
	}
	p := &page.Page{Title: strange, Sections: []page.Section{
		{Title: "facts", Rows: []page.Row{{Cells: []string{"name", strange}}}},
		{Title: "table", Head: []string{"NAME", "LAST"}, Rows: []page.Row{{Cells: []string{strange, strange}, Mark: page.Bad}}},
	}}
	var out strings.Builder
	printPage(newScreen(&out), p)
	complain(&out, "x: "+strange+"\nsecond\n")
	if strings.ContainsAny(out.String(), "\x1b\x07\t\u202e") || strings.Contains(out.String(), "\xff") || strings.Count(out.String(), want) != 5 {
		t.Errorf("printed: %q", out.String())
	}
}

// Names that are wide, or have marks, take the columns of a terminal that they take there: the same column begins below the same, in each table, and no line is too long.
func TestWideNames(t *testing.T) {
	names := map[string]int{"web": 3, "\u7db2\u7d61": 4, "\uff57\uff45\uff42": 6, "e\u0301te\u0301": 3, "\ud55c\uad6d": 4, "\U0001f980": 2, "\u00fc": 1, "\u3042b\u304b": 5, "\u0e01\u0e34": 1, "": 0}
	for name, want := range names {
		if got := draw.Columns(name); got != want {
			t.Errorf("%q takes %d columns, want %d", name, got, want)
		}
		for room := range 7 {
			if c := cut(name, room); draw.Columns(c) > room || !strings.HasPrefix(name, c) {
				t.Errorf("%q cut to %d: %q", name, room, c)
			}
		}
	}
	begins := func(line, word string) int {
		before, _, _ := strings.Cut(line, word)
		return draw.Columns(before)
	}
	same := func(what string, lines []string, word string) {
		for _, line := range lines[1:] {
			if begins(line, word) != begins(lines[0], word) {
				t.Errorf("%s: %q begins at column %d, want %d:\n%s", what, word, begins(line, word), begins(lines[0], word), strings.Join(lines, "\n"))
			}
		}
	}
	var listed, logged []string
	all, list := table{}, &meter.Sample{Time: time.Unix(0, 0), Heard: true}
	for name := range names {
		all.add(cell{text: name}, cell{text: "=="})
		logged = append(logged, strings.TrimSuffix(logLine(newScreen(nil), journal.Entry{Verb: "ADD", Network: name, Pod: name, Millis: 1}, false), "\n"))
		list.Interfaces = append(list.Interfaces, meter.Interface{Attachment: &observe.Attachment{ID: name, Network: name, ContainerID: name, IfName: "=="}})
	}
	var out strings.Builder
	all.print(newScreen(&out))
	listed = strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	same("a table", listed, "==")
	same("the log", logged, " ms ")
	top := topping{sort: "name"}
	d := newDisplay(&out, &top)
	must(t, d.show(top.answer(nil, list)))
	same("top", d.page(200, 0)[4:], "==")
	for room := range 60 {
		for _, line := range d.page(room, 0) {
			if draw.Columns(line) > room {
				t.Errorf("at %d columns: %q takes %d", room, line, draw.Columns(line))
			}
		}
	}
}
