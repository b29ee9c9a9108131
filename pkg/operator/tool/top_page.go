package tool

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/operator/draw"
)

// page is the last reading as lines, none of them wider than room and, unless it is 0, no more than height.
func (d *display) page(room, height int) []string {
	a, in, out, begun, networks := &d.last, topCount{}, topCount{}, topBegun{}, make(map[string]bool)
	for _, l := range a.Interfaces {
		networks[l.Network] = true
		in.BytesPerSecond += valueOf(l.Received).BytesPerSecond
		out.BytesPerSecond += valueOf(l.Sent).BytesPerSecond
		in.PacketsPerSecond += valueOf(l.Received).PacketsPerSecond + valueOf(l.Sent).PacketsPerSecond
		begun.PerSecond += valueOf(l.Connections).PerSecond
	}
	head := []string{
		d.fit(room, cell{"trestle top", strong}, cell{text: a.Time.Format("  15:04:05") + fmt.Sprintf("  every %v  interfaces %d  networks %d", d.interval, len(a.Interfaces), len(networks))}),
		d.fit(room, cell{text: "in "}, cell{amount(in.BytesPerSecond, "B/s"), strong}, cell{text: "   out "}, cell{amount(out.BytesPerSecond, "B/s"), strong},
			cell{text: "   packets " + amount(in.PacketsPerSecond, "/s") + "   new connections " + amount(begun.PerSecond, "/s")}), ""}
	var foot []string
	for _, r := range a.Dropped {
		foot = append(foot, d.fit(room, cell{text: "dropped: "}, cell{strings.TrimSpace(amount(float64(r.Dropped.Packets), "")) + " packets", strong},
			cell{text: "  " + amount(r.Dropped.PacketsPerSecond, "/s") + "  " + r.Reason + " (" + r.Table + ", " + r.Chain + ")"}))
	}
	for _, p := range a.Unseen {
		foot = append(foot, d.fit(room, cell{strings.TrimSuffix("not seen: "+p.Object+": "+p.Cause+"; "+p.Remedy, "; "), faint}))
	}
	if len(foot) > 0 {
		foot = append([]string{""}, foot...)
	}
	body := d.body(room)
	if free := height - len(head) - len(foot); height > 0 && len(body) > max(free, 2) {
		hidden := len(body) - max(free, 2) + 1
		body = append(body[:len(body)-hidden:len(body)-hidden], d.fit(room, cell{fmt.Sprintf("and %d lines more", hidden), faint}))
	}
	all := slices.Concat(head, body, foot)
	if height > 0 && len(all) > height {
		all = all[:height]
	}
	return all
}

// column is one of the table. The least important are left out where there is no room for all.
type column struct {
	title string
	cells []cell
	left  bool // what is read from the left; numbers stand at the right
	leave int  // the larger, the sooner it is left out; 0: never
}

// body is the table: a line an interface, and below it one for each of its published ports.
func (d *display) body(room int) []string {
	table := []*column{{title: "CONTAINER", left: true}, {title: "INTERFACE", left: true, leave: 3}, {title: "NETWORK", left: true, leave: 2}, {title: "IN/s"}, {title: "OUT/s"},
		{title: "PACKETS/s", leave: 1}, {title: "NEW/s", leave: 1}, {title: "IN", leave: 5}, {title: "OUT", leave: 5}, {title: "LAST", left: true, leave: 4}}
	add := func(cells ...cell) {
		for i, c := range table {
			c.cells = append(c.cells, cells[i])
		}
	}
	for i := range d.last.Interfaces {
		l := &d.last.Interfaces[i]
		who := cell{cmp.Or(l.Pod, listing{}.shortened(l.ContainerID)), strong}
		add(slices.Concat([]cell{who, {text: l.IfName}, {text: l.Network}}, d.rates(l.Received, l.Sent, l.Connections), []cell{{d.curve(d.past[l.ID]), green}})...)
		for _, p := range l.Ports {
			add(slices.Concat([]cell{{text: "  " + portText(p.Port)}, {}, {}}, d.rates(p.Received, p.Sent, p.Connections), []cell{{}})...)
		}
	}
	return d.lay(table, room)
}

// rates are the numbers of a line. What was not seen, as before the second reading, is a dash.
func (d *display) rates(in, out *topCount, begun *topBegun) []cell {
	i, o := valueOf(in), valueOf(out)
	list := []string{amount(i.BytesPerSecond, "B"), amount(o.BytesPerSecond, "B"), amount(i.PacketsPerSecond+o.PacketsPerSecond, ""), amount(valueOf(begun).PerSecond, ""),
		amount(float64(i.Bytes), "B"), amount(float64(o.Bytes), "B")}
	cells := make([]cell, len(list))
	for n, text := range list {
		if early := n < 4 && d.last.Seconds == 0; early || n == 3 && begun == nil || n != 3 && in == nil {
			text = "-"
		}
		cells[n].text = text
	}
	return cells
}

// lay aligns the columns, and leaves out as many as there is no room for.
func (d *display) lay(table []*column, room int) (lines []string) {
	widths, total := make(map[*column]int), 0
	for _, c := range table {
		for _, one := range append(c.cells, cell{text: c.title}) {
			widths[c] = max(widths[c], draw.Columns(safe(one.text)))
		}
		total += widths[c] + 2
	}
	for sooner := 5; sooner > 0 && total-2 > room; sooner-- {
		for _, c := range table {
			if c.leave == sooner {
				total -= widths[c] + 2
			}
		}
		table = slices.DeleteFunc(table, func(c *column) bool { return c.leave == sooner })
	}
	for i := -1; i < len(table[0].cells); i++ {
		var line []cell
		for j, c := range table {
			one := cell{c.title, strong}
			if i >= 0 {
				one = c.cells[i]
			}
			blanks := strings.Repeat(" ", widths[c]-draw.Columns(safe(one.text)))
			switch {
			case !c.left:
				line = append(line, cell{text: blanks}, one)
			case j < len(table)-1:
				line = append(line, one, cell{text: blanks})
			default:
				line = append(line, one)
			}
			if j < len(table)-1 {
				line = append(line, cell{text: "  "})
			}
		}
		lines = append(lines, d.fit(room, line...))
	}
	return lines
}

// fit is the cells as one line, cut where the terminal ends.
func (d *display) fit(room int, cells ...cell) string {
	var b strings.Builder
	for _, c := range cells {
		text := cut(safe(c.text), room)
		if room -= draw.Columns(text); len(text) < len(safe(c.text)) {
			room = 0 // of a wide character there may be half a place
		}
		b.WriteString(d.paint(c.colour, text))
	}
	return strings.TrimRight(b.String(), " ")
}

// curve draws how it went, the latest last, as high as the highest.
func (d *display) curve(list []float64) string {
	steps := []rune(" ▁▂▃▄▅▆▇█")
	if !d.graphic {
		steps = []rune(" .:-=+*%#")
	}
	highest := slices.Max(append(list, 0))
	text := make([]rune, 0, len(list))
	for _, v := range list {
		step := 0
		if v > 0 {
			step = 1 + int(v/highest*float64(len(steps)-2))
		}
		text = append(text, steps[step])
	}
	return string(text)
}

// amount is a number in three digits, with the prefix of a thousand.
func amount(v float64, unit string) string {
	if v == 0 {
		return strings.TrimSpace("0 " + unit)
	}
	prefix := ""
	for _, next := range []string{"k", "M", "G", "T", "P"} {
		if v < 999.5 {
			break
		}
		v, prefix = v/1000, next
	}
	digits := 0
	if v < 99.95 && (prefix != "" || v != float64(int(v))) {
		digits = 1
	}
	return strings.TrimSpace(fmt.Sprintf("%.*f %s%s", digits, v, prefix, unit))
}
