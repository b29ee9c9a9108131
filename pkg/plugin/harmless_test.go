package plugin

import "testing"

// What is printed as it is, and what is not: the second of each pair is what a terminal gets.
func TestHarmless(t *testing.T) {
	for _, c := range [][2]string{
		{"", ""}, {"plain text\n\tof two lines\n", "plain text\n\tof two lines\n"}, {"käse 東京 🐳", "käse 東京 🐳"},
		{"\x1b[2J\x1b]0;title\a", `\x1b[2J\x1b]0;title\a`}, {"over\rwritten\b\x7f", `over\rwritten\b\x7f`}, {"\u009b31m", `\u009b31m`},
		{"a\u202eb\u2066c\u200f\u061c", `a\u202eb\u2066c\u200f\u061c`}, {"torn \xc3", `torn \xc3`}, {"nul\x00", `nul\x00`}, {"\ufeff\u2028", `\ufeff\u2028`},
		{"\ufffd", `\ufffd`},
	} {
		if got := harmless(c[0]); got != c[1] {
			t.Errorf("%q becomes %q, want %q", c[0], got, c[1])
		}
	}
}
