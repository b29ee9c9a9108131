package tool

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/operator/draw"
)

// screen is where a command's answer goes: coloured for a person at a terminal, plain for everything else.
type screen struct {
	io.Writer
	coloured bool
}

// newScreen looks what out is. NO_COLOR (no-color.org) and a dumb terminal switch colours off.
func newScreen(out io.Writer) screen {
	return screen{out, onTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// onTerminal says whether a person reads the output.
func onTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

// colour is how a terminal is told (ECMA-48, 8.3.117).
type colour string

// The colours. Nothing is told by colour alone.
const (
	plain  colour = ""
	strong colour = "1"
	faint  colour = "2"
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
)

func (s screen) paint(c colour, text string) string {
	if !s.coloured || c == plain {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// printJSON prints the value for programs, and so that it does no harm at a terminal.
func printJSON(out io.Writer, value any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	if err == nil {
		_, err = out.Write(keys.Plain(text.Bytes()))
	}
	return err
}

// safe makes a name printable: what would steer a terminal, or turn the writing round, is written as Go does in strings. Names of links,
// namespaces and files may hold anything.
func safe(text string) string {
	clean := func(r rune) bool {
		return r != utf8.RuneError && unicode.IsPrint(r) && !unicode.Is(unicode.Bidi_Control, r)
	}
	if strings.IndexFunc(text, func(r rune) bool { return !clean(r) }) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if clean(r) {
			b.WriteRune(r)
			continue
		}
		quoted := fmt.Sprintf("%+q", string(r))
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

// pad is the text, made safe, with as many blanks as are missing to so many columns.
func pad(text string, to int) string {
	text = safe(text)
	return text + strings.Repeat(" ", max(0, to-draw.Columns(text)))
}

// cut is as much of the beginning of a text as there is room for.
func cut(text string, room int) string {
	for at, r := range text {
		if room -= draw.Columns(string(r)); room < 0 {
			return text[:at]
		}
	}
	return text
}

// cell is one field of a table.
type cell struct {
	text string
	colour
}

// table is rows of as many cells as the head has; or of any number, where there is no head.
type table struct {
	head []string
	rows [][]cell
}

func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

// print aligns the columns. The last is not filled up, so that no line ends in blanks.
func (t *table) print(s screen) {
	rows := t.rows
	if len(t.head) > 0 {
		heads := make([]cell, len(t.head))
		for i, h := range t.head {
			heads[i] = cell{h, strong}
		}
		rows = append([][]cell{heads}, rows...)
	}
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], draw.Columns(safe(c.text)))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		last := len(row) - 1
		for last > 0 && row[last].text == "" {
			last--
		}
		for i, c := range row[:last+1] {
			text := safe(c.text)
			b.WriteString(s.paint(c.colour, text))
			if i < last {
				b.WriteString(strings.Repeat(" ", widths[i]-draw.Columns(text)+2))
			}
		}
		b.WriteByte('\n')
	}
	fmt.Fprint(s, b.String())
}
