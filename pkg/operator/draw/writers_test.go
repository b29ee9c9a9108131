package draw

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// strange is what the names of links, namespaces and networks may hold at the worst.
const strange = "a\"b'<c>&d;\\e]|{f}\ng\x1b[31mh\u202eiשלום`%%容器\xff-->#"

func strangePicture() Picture {
	return Picture{
		Title: strange,
		Boxes: []Box{
			{ID: "b" + strange, Kind: Bridge, Lane: strange, Title: strange, Lines: []Line{{Text: strange}}, State: Broken, Why: strange},
			{ID: "h" + strange, Kind: HostEnd, Lane: strange, Title: strange},
		},
		Edges: []Edge{{From: "b" + strange, To: "h" + strange, Label: strange, State: Leaked}},
		Notes: []string{strange},
	}
}

// holdPrintable wants nothing that commands a terminal, turns its writing round, or is not UTF-8.
func holdPrintable(t *testing.T, text string) {
	t.Helper()
	for _, r := range text {
		if r != '\n' && !unicode.IsPrint(r) || unicode.Is(unicode.Bidi_Control, r) || r == unicode.ReplacementChar {
			t.Errorf("%q is not to be written", r)
		}
	}
}

func TestStrangeNamesOnATerminal(t *testing.T) {
	p := strangePicture()
	text := p.Text(Terminal{Width: 100})
	holdPrintable(t, text)
	if strings.ContainsFunc(text, leftward) {
		t.Errorf("letters that run leftwards:\n%s", text)
	}
	for _, r := range p.Text(Terminal{Width: 100, ASCII: true}) {
		if r > unicode.MaxASCII {
			t.Errorf("%q is not ASCII", r)
		}
	}
}

func TestStrangeNamesInSVG(t *testing.T) {
	text := strangePicture().SVG()
	holdPrintable(t, text)
	found := false
	for decoder := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := token.(xml.CharData); ok && string(data) == Clean(strange) {
			found = true
		}
		if e, ok := token.(xml.StartElement); ok && (e.Name.Local == "c" || e.Name.Local == "script") {
			t.Errorf("a name has become the element %s", e.Name.Local)
		}
	}
	if !found {
		t.Errorf("the title is not in\n%s", text)
	}
}

// Outside its strings DOT has only the words that we write, and each string ends where it should.
func TestStrangeNamesInDOT(t *testing.T) {
	text := strangePicture().DOT()
	holdPrintable(t, text)
	rest := regexp.MustCompile(`"(?:[^"\\\n]|\\.)*"`).ReplaceAllString(text, "S")
	want := `digraph host {
  label=S; labelloc=t; rankdir=TB; newrank=true; node [shape=box, fontname=S]; edge [dir=none];
  subgraph S {
    label=S; style=rounded; color=gray;
    S [label=S, color=S, fontcolor=S, style=dashed];
    S [label=S];
  }
  S -> S [label=S, color=S, fontcolor=S, style=dotted];
}
`
	if diff := cmp.Diff(want, rest); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStrangeNamesInMermaid(t *testing.T) {
	text := strangePicture().Mermaid()
	holdPrintable(t, text)
	rest := regexp.MustCompile(`"[^"\n;]*(?:#\d+;[^"\n;]*)*"`).ReplaceAllString(text, "S")
	rest = regexp.MustCompile(`%% .*`).ReplaceAllString(rest, "%% T")
	want := `flowchart TB
  %% T
  subgraph l0[S]
    b0[S]:::broken
    b1[S]
  end
  b0 -.-|S| b1
`
	if got, _, _ := strings.Cut(rest, "  classDef"); got != want {
		t.Errorf("(-want +got):\n%s", cmp.Diff(want, got))
	}
}

func TestStrangeNamesInJSON(t *testing.T) {
	var p Picture
	if err := json.Unmarshal([]byte(strangePicture().JSON()), &p); err != nil {
		t.Fatal(err)
	}
	if want := strings.ToValidUTF8(strange, "\ufffd"); p.Boxes[0].Title != want {
		t.Errorf("title %q, want %q", p.Boxes[0].Title, want)
	}
}

// What is broken or leaked is told in words and by a pattern, not by colour alone.
func TestStatesAreSaid(t *testing.T) {
	p := sample(6)
	for format, text := range map[string]string{
		"text": p.Text(Terminal{Width: 100}), "ascii": p.Text(Terminal{Width: 100, ASCII: true}), "svg": p.SVG(), "dot": p.DOT(), "mermaid": p.Mermaid(),
	} {
		for _, word := range []string{"broken: down", "leaked: no container", "not ours: made by hand"} {
			if !strings.Contains(text, word) && format != "mermaid" || format == "mermaid" && !strings.Contains(text, strings.SplitN(word, ":", 2)[0]) {
				t.Errorf("%s does not say %q", format, word)
			}
		}
	}
	if text := p.Text(Terminal{Width: 100}); strings.Contains(text, "\x1b") || !strings.Contains(p.Text(Terminal{Width: 100, Color: true}), "\x1b[0;31m") {
		t.Error("colour where none was asked for, or none where it was")
	}
}
