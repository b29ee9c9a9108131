package tool

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// display is where readings are shown: a page that is drawn over itself at a terminal, tables one below the other elsewhere, or JSON.
type display struct {
	screen
	live, json, once bool
	graphic          bool // the terminal shows more than ASCII
	interval         time.Duration
	last             topAnswer
	past             map[string][]float64 // bytes in a second, by attachment, the latest last
	resized          chan os.Signal
}

// remembered is how many readings are drawn.
const remembered = 20

func newDisplay(out io.Writer, t *topping) *display {
	d := &display{screen: newScreen(out), json: t.json, once: t.once, graphic: speaksUTF8(), interval: t.interval, past: make(map[string][]float64),
		resized: make(chan os.Signal, 1)}
	if d.live = onTerminal(out) && !t.json && !t.once && os.Getenv("TERM") != "dumb"; d.live {
		signal.Notify(d.resized, syscall.SIGWINCH)
		fmt.Fprint(out, "\x1b[?1049h\x1b[?25l") // the terminal's other page, without a cursor
	}
	return d
}

// close gives the terminal back as it was.
func (d *display) close() {
	if d.live {
		signal.Stop(d.resized)
		fmt.Fprint(d, "\x1b[?25h\x1b[?1049l")
	}
}

// show shows a reading.
func (d *display) show(a topAnswer) error {
	past := make(map[string][]float64, len(a.Interfaces)) // of those that are still there
	for _, l := range a.Interfaces {
		list := d.past[l.ID]
		if a.Seconds > 0 {
			list = append(list, valueOf(l.Received).BytesPerSecond+valueOf(l.Sent).BytesPerSecond)
		}
		past[l.ID] = list[max(0, len(list)-remembered):]
	}
	d.last, d.past = a, past
	return d.again()
}

// again shows the last reading, at a terminal as large as that is now.
func (d *display) again() error {
	switch {
	case d.json && d.once:
		return printJSON(d, d.last)
	case d.json:
		return printLine(d, d.last)
	case !d.live:
		_, err := io.WriteString(d, strings.Join(d.page(columns(d.Writer), 0), "\n")+"\n")
		return err
	}
	lines := d.page(columns(d.Writer), rows(d.Writer))
	_, err := io.WriteString(d, "\x1b[H"+strings.Join(lines, "\x1b[K\n")+"\x1b[J") // home, and what was there before is wiped away
	return err
}

// rows is the height of the terminal.
func rows(out io.Writer) int {
	if file, ok := out.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ); err == nil && size.Row > 0 {
			return int(size.Row)
		}
	}
	return 24
}
