package keys

import (
	"encoding/json"
	"testing"
	"unicode"
)

// What is written plainly is printed as it is, on lines of its own, and says the same.
func TestPlain(t *testing.T) {
	for _, name := range []string{"eth0", "\x1b]0;title\x07", "\x7f", "\u0085\u009b31m", "a\u202eb\u2066c\u200f\u061c", "\u2028\ufeff", "\U000e0001tag",
		"grün \U0001f600", "<&>"} {
		text, err := json.MarshalIndent(map[string]string{name: name}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		plain, back := Plain(text), map[string]string{}
		for _, r := range string(plain) {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Errorf("%q: %q is written as it is in %s", name, r, plain)
			}
		}
		if err := json.Unmarshal(plain, &back); err != nil || back[name] != name {
			t.Errorf("%q: read back as %q, %v", name, back, err)
		}
	}
}
