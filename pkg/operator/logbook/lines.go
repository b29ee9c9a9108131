package logbook

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"

	"github.com/trestle-cni/trestle/pkg/journal"
)

// lines takes lines out of a file that may grow.
type lines struct {
	in   *bufio.Reader
	rest []byte // what has no end yet; of what is longer than any line of ours the last part
}

// longest is the longest line that is read, in bytes: a hundred times longer than any is. What is longer is none, and what follows it is read.
const longest = 1 << 20

func linesOf(in io.Reader) *lines { return &lines{in: bufio.NewReaderSize(in, 64<<10)} }

// each calls f with the lines that there are, until it says false, and says whether it did not.
func (l *lines) each(f func(line []byte) bool) (on bool, err error) {
	for {
		part, err := l.in.ReadSlice('\n')
		if l.rest = append(l.rest, part...); len(l.rest) > 2*longest {
			l.rest = append(l.rest[:0], l.rest[len(l.rest)-longest:]...)
		}
		switch {
		case errors.Is(err, io.EOF):
			return true, nil
		case err == nil && !f(l.rest):
			return false, nil
		case err == nil:
			l.rest = l.rest[:0]
		case !errors.Is(err, bufio.ErrBufferFull):
			return false, err
		}
	}
}

// beginning is how a line of the journal begins.
var beginning = []byte(`{"time":`)

// parse reads a line. What a full disk tore has no end, and the next line may stand in it; then that one is read.
func parse(line []byte) (e journal.Entry, ok bool) {
	if at := bytes.LastIndex(line, beginning); at > 0 && !json.Valid(line) {
		line = line[at:]
	}
	return e, json.Unmarshal(line, &e) == nil && sane(&e)
}

// sane says whether a call can have left the entry: whoever counts or draws it relies on that. What has no time is none.
func sane(e *journal.Entry) bool {
	wrong := func(ms float64) bool { return ms < 0 || ms > 1e9 }
	long := slices.ContainsFunc(e.Phases, func(p journal.Phase) bool { return wrong(p.Millis) })
	year := e.Time.Year()
	return year >= 1970 && year < 2262 && !wrong(e.Millis) && !long && (e.Trace == nil || e.Trace.Valid())
}
