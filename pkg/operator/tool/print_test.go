package tool

import (
	"strings"
	"testing"

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
