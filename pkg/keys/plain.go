package keys

import (
	"fmt"
	"unicode"
	"unicode/utf16"
)

// Plain writes JSON so that a person can read it at a terminal: what would steer that, or turn the writing round (control characters, marks of
// direction, whatever is not printed), becomes an escape, which says the same. In JSON it stands in strings alone.
func Plain(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, r := range string(text) {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			out = append(out, string(r)...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}
