package plugin

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// harmless is the text as a terminal may show it: what others wrote may hold what moves the cursor, or turns the line around.
func harmless(text string) string {
	var out strings.Builder
	for i, width := 0, 0; i < len(text); i += width {
		var r rune
		r, width = utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '\n' || r == '\t' || r != utf8.RuneError && strconv.IsPrint(r):
			out.WriteString(text[i : i+width])
		default:
			quoted := strconv.QuoteToASCII(text[i : i+width])
			out.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return out.String()
}
