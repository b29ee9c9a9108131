package draw

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes a name from the kernel or a file safe to show: what is not printed, or would turn or command the terminal around it (control
// characters, escape sequences, marks of direction, bytes that are not UTF-8), is written as an escape.
func Clean(s string) string {
	var out strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&out, `\x%02x`, s[0])
		case r < 0x80 && !unicode.IsPrint(r):
			fmt.Fprintf(&out, `\x%02x`, r)
		case !unicode.IsPrint(r) || unicode.In(r, unicode.Cf, unicode.Me, unicode.Zl, unicode.Zp):
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			out.WriteRune(r)
		}
		s = s[n:]
	}
	return out.String()
}

// leftward is true for the scripts that a terminal may write from right to left, and with them what stands beside them.
func leftward(r rune) bool {
	return r >= 0x590 && r < 0x900 || r >= 0xfb1d && r < 0xfe00 || r >= 0xfe70 && r < 0xff00 || r >= 0x10800 && r < 0x11000 || r >= 0x1e800 && r < 0x1f000
}

// wide is true for characters that take two cells of a terminal: the East Asian ones (Unicode's report 11) and pictograms.
func wide(r rune) bool {
	return r >= 0x1100 && r < 0x1160 || r >= 0x2e80 && r < 0xa4d0 || r >= 0xa960 && r < 0xa980 || r >= 0xac00 && r < 0xd7a4 ||
		r >= 0xf900 && r < 0xfb00 || r >= 0xfe30 && r < 0xfe70 || r >= 0xff00 && r < 0xff61 || r >= 0xffe0 && r < 0xffe7 ||
		r >= 0x1f000 && r < 0x20000 || r >= 0x20000 && r < 0x40000
}

// Columns counts the columns of a terminal that the cleaned text takes: none for a mark on the character before, two for one that is wide.
func Columns(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me):
		case wide(r):
			n += 2
		default:
			n++
		}
	}
	return n
}

// short cuts the middle out of what is longer than most characters: both ends of an ID say more than either alone.
func short(s string, most int) string {
	runes := []rune(s)
	if len(runes) <= most {
		return s
	}
	tail := most / 3
	return string(runes[:most-tail-1]) + "…" + string(runes[len(runes)-tail:])
}

// escapeLeftward writes letters of such scripts as escapes.
func escapeLeftward(s string) string {
	var out strings.Builder
	for _, r := range s {
		if leftward(r) {
			fmt.Fprintf(&out, `\u%04x`, r)
		} else {
			out.WriteRune(r)
		}
	}
	return out.String()
}
