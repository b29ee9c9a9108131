package tool

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/trestle-cni/trestle/pkg/journal"
	"github.com/trestle-cni/trestle/pkg/operator/logbook"
)

// TestLogOfStrangers prints entries whose every word is meant to do harm at a terminal, or to look like another's line: in no form does anything steer, turn the writing round,
// or begin a line.
func TestLogOfStrangers(t *testing.T) {
	for _, word := range []string{"\x1b[2J\x1b]0;x\x07", "a\nb", "a\r\nb", "\u202egnp.exe", "\u2066x\u2069", "\x00", "\u009b31m", "\u200b", "\xff", "\u2028", "</script>", strings.Repeat("x", 1<<16)} {
		e := journal.Entry{Time: time.Unix(1.8e9, 0), Verb: word, Plugin: word, Network: word, Container: word, Interface: word, Pod: word, Code: 7, Error: word, Remedy: word,
			Phases: []journal.Phase{{What: "make " + word}, {What: "undo " + word}}, Said: []string{word, word},
			Trace: &journal.Trace{ID: strings.Repeat("a", 32), Parent: strings.Repeat("b", 16), Span: strings.Repeat("c", 16)}}
		var out bytes.Buffer
		spans, _ := logbook.TracesOf(e, self)
		must(t, printLine(&out, e))
		must(t, printLine(&out, spans))
		for _, line := range strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n") {
			if !json.Valid([]byte(line)) {
				t.Errorf("%.20q: no JSON: %.200q", word, line)
			}
		}
		if n := strings.Count(out.String(), "\n"); n != 2 {
			t.Errorf("%.20q: %d lines of JSON", word, n)
		}
		text := logLine(newScreen(io.Discard), e, true)
		if n := strings.Count(text, "\n"); n != 7 {
			t.Errorf("%.20q: %d lines:\n%.500q", word, n, text)
		}
		for _, r := range out.String() + text {
			if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Cf, r) || r == '\u2028') {
				t.Errorf("%.20q: %U is printed", word, r)
				break
			}
		}
	}
}

// TestSince takes what a length of time is, and says of another what it is to be.
func TestSince(t *testing.T) {
	for text, want := range map[string]string{"-5m": "--since: -5m0s: is still to come", "7d": "unknown unit", "yesterday": "invalid duration", "": "invalid duration", "1e3s": "unknown unit",
		"3000000h": "invalid duration"} {
		c := Command(nil)
		c.SetArgs([]string{"log", "--since", text})
		c.SetOut(io.Discard)
		c.SetErr(io.Discard)
		if err := c.Execute(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
