package draw

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// anyPicture draws boxes of all kinds with names of all kinds, and edges between any two of them.
func anyPicture(t *rapid.T) Picture {
	name := rapid.OneOf(rapid.SampledFrom([]string{"eth0", "veth0123456789a", "10.20.0.2/24", "fd00:30::2/64", "שלום", "容器", ""}), rapid.String())
	lane := rapid.SampledFrom([]string{"front", "back", "ports", "a name that is quite long", ""})
	state := rapid.SampledFrom([]State{Normal, Normal, Broken, Leaked, Foreign})
	p := Picture{Title: name.Draw(t, "title"), Notes: rapid.SliceOfN(name, 0, 2).Draw(t, "notes")}
	var namespaces []string
	add := func(kind Kind, in string) {
		b := Box{ID: fmt.Sprintf("%s-%d", kind, len(p.Boxes)), Kind: kind, In: in, Title: name.Draw(t, "title"), State: state.Draw(t, "state")}
		if !slices.Contains([]Kind{Outside, Uplink, Router, Interface}, kind) {
			b.Lane = lane.Draw(t, "lane")
		}
		for range rapid.IntRange(0, 3).Draw(t, "lines") {
			b.Lines = append(b.Lines, Line{Text: name.Draw(t, "line")})
		}
		b.Why = rapid.SampledFrom([]string{"", "down", "a reason of several words that has to be broken into lines"}).Draw(t, "why")
		p.Boxes = append(p.Boxes, b)
		if kind == Namespace {
			namespaces = append(namespaces, b.ID)
		}
	}
	for _, kind := range []Kind{Outside, Uplink, Router, Filter, Bridge, HostEnd, Namespace} {
		most := map[Kind]int{Router: 1, Namespace: 12, HostEnd: 12}[kind]
		for range rapid.IntRange(0, max(most, 3-2*(most%2))).Draw(t, string(kind)) {
			add(kind, "")
		}
	}
	for range rapid.IntRange(0, 2*len(namespaces)).Draw(t, "interfaces") {
		add(Interface, rapid.SampledFrom(namespaces).Draw(t, "in"))
	}
	if len(p.Boxes) == 0 {
		return p
	}
	box := rapid.SampledFrom(p.Boxes)
	for range rapid.IntRange(0, 30).Draw(t, "edges") {
		p.Edges = append(p.Edges, Edge{
			From: box.Draw(t, "from").ID, To: box.Draw(t, "to").ID, State: state.Draw(t, "state"),
			Label: rapid.SampledFrom([]string{"", "", "default via 192.0.2.2"}).Draw(t, "label"),
		})
	}
	return p
}

func papers() []metric {
	return []metric{screen, Terminal{Width: 80}.metric(), Terminal{Width: 200}.metric()}
}

func TestNothingIsInTheWayOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPicture(t)
		for _, m := range papers() {
			s := place(p, m)
			holdBoxes(t, p, s)
			holdTexts(t, s)
			holdWires(t, s, m)
			if diff := cmp.Diff(fmt.Sprintf("%+v", s), fmt.Sprintf("%+v", place(p, m))); diff != "" {
				t.Errorf("the same picture is laid out in two ways: %s", diff)
			}
		}
	})
}

type failer interface {
	Helper()
	Errorf(string, ...any)
}

func (r rect) overlaps(o rect) bool {
	return r.x < o.x+o.w && o.x < r.x+r.w && r.y < o.y+o.h && o.y < r.y+r.h
}

func (r rect) holds(o rect) bool {
	return r.x <= o.x && o.x+o.w <= r.x+r.w && r.y <= o.y && o.y+o.h <= r.y+r.h
}

// holdBoxes wants every box on the paper, inside the box that it is in, and over no other.
func holdBoxes(t failer, p Picture, s sheet) {
	t.Helper()
	paper := rect{0, 0, s.w, s.h}
	if len(s.shapes) != len(p.Boxes) {
		t.Errorf("%d of %d boxes are drawn", len(s.shapes), len(p.Boxes))
	}
	for i, a := range s.shapes {
		if !paper.holds(a.rect) {
			t.Errorf("%s %v is not on the paper %v", a.ID, a.rect, paper)
		}
		for _, b := range s.shapes[:i] {
			switch {
			case a.In == b.ID && !b.holds(a.rect), a.In != b.ID && b.In != a.ID && a.overlaps(b.rect):
				t.Errorf("%s %v and %s %v", a.ID, a.rect, b.ID, b.rect)
			}
		}
	}
	lane, cells := map[string]string{}, p.cellOf()
	for _, b := range p.Boxes {
		lane[b.ID] = b.Lane
	}
	for _, f := range s.frames {
		for _, b := range s.shapes {
			own := b.Lane
			if cell := cells[b.ID]; cell != "" {
				own = lane[cell]
			}
			if (own == f.lane || f.overlaps(b.rect)) && b.Kind != Interface && !f.holds(b.rect) {
				t.Errorf("%s %v is across the edge of lane %s %v", b.ID, b.rect, f.lane, f.rect)
			}
		}
	}
}

// holdTexts wants text in boxes inside them, and text beside boxes outside all of them.
func holdTexts(t failer, s sheet) {
	t.Helper()
	paper := rect{0, 0, s.w, s.h}
	for _, b := range s.shapes {
		for _, x := range b.texts {
			if !b.holds(x.rect) {
				t.Errorf("%q %v is not inside %s %v", x.s, x.rect, b.ID, b.rect)
			}
			for _, in := range s.shapes {
				if in.In == b.ID && in.overlaps(x.rect) {
					t.Errorf("%q of %s is over %s", x.s, b.ID, in.ID)
				}
			}
		}
	}
	for i, x := range s.texts {
		if !paper.holds(x.rect) {
			t.Errorf("%q %v is not on the paper %v", x.s, x.rect, paper)
		}
		for _, b := range s.shapes {
			if b.overlaps(x.rect) {
				t.Errorf("%q %v is over %s %v", x.s, x.rect, b.ID, b.rect)
			}
		}
		for _, y := range s.texts[:i] {
			if x.overlaps(y.rect) {
				t.Errorf("%q %v is over %q %v", x.s, x.rect, y.s, y.rect)
			}
		}
	}
}

// area is what a piece of a wire touches, without its ends' last point where wires are as wide as nothing.
func (p piece) area(border int) rect {
	return rect{p.x1, p.y1, p.x2 - p.x1 + border, p.y2 - p.y1 + border}
}

func (p piece) crosses(r rect) bool {
	return p.x1 < r.x+r.w && r.x < p.x2+1 && p.y1 < r.y+r.h && r.y < p.y2+1
}

// holdWires wants wires that touch their own boxes and nothing else, and share no line with another one.
func holdWires(t failer, s sheet, m metric) {
	t.Helper()
	byID := map[string]shape{}
	for _, b := range s.shapes {
		byID[b.ID] = b
	}
	for i, w := range s.wires {
		own := map[string]bool{w.box: true, byID[w.box].In: true}
		for _, id := range w.ends {
			own[id], own[byID[id].In] = true, true
			if !touches(w, byID[id], m) {
				t.Errorf("the wire of %s does not get to %s %v: %v", w.box, id, byID[id].rect, w.pieces)
			}
		}
		for _, p := range w.pieces {
			holdPiece(t, s, w, p, own)
			for _, other := range s.wires[:i] {
				for _, q := range other.pieces {
					if (p.x1 == p.x2) == (q.x1 == q.x2) && p.crosses(q.area(1)) {
						t.Errorf("the wires of %s and %s share a line: %v, %v", w.box, other.box, p, q)
					}
				}
			}
		}
	}
}

func holdPiece(t failer, s sheet, w wire, p piece, own map[string]bool) {
	t.Helper()
	if p.x1 < 0 || p.y1 < 0 || p.x2 >= s.w || p.y2 >= s.h {
		t.Errorf("the wire of %s leaves the paper: %v", w.box, p)
	}
	for _, b := range s.shapes {
		if !own[b.ID] && p.crosses(b.rect) {
			t.Errorf("the wire of %s crosses %s %v: %v", w.box, b.ID, b.rect, p)
		}
		for _, x := range b.texts {
			if p.crosses(x.rect) {
				t.Errorf("the wire of %s crosses %q in %s: %v", w.box, x.s, b.ID, p)
			}
		}
	}
	for _, x := range s.texts {
		if p.crosses(x.rect) {
			t.Errorf("the wire of %s crosses %q %v: %v", w.box, x.s, x.rect, p)
		}
	}
}

// touches is true where a piece ends at the box, or at the namespace around it where the box has no border.
func touches(w wire, b shape, m metric) bool {
	return slices.ContainsFunc(w.pieces, func(p piece) bool {
		return b.x <= p.x1 && p.x1 <= b.x+b.w && (p.y2 == m.top(b.Box, b.rect) || m.bare && b.Kind == Interface && p.y2 < b.y)
	})
}

// TestNoColumnOfThirty draws thirty containers that are all on the same networks. As many stand side by side as the paper holds: with two columns more they would
// be wider than that, whatever the wires beside them take.
func TestNoColumnOfThirty(t *testing.T) {
	const containers = 30
	for networks := 1; networks <= 3; networks++ {
		p := abreast(containers, networks)
		for i, m := range papers() {
			width, columns, rows := 0, map[int]bool{}, map[int]bool{}
			for _, b := range place(p, m).shapes {
				if b.Kind == Namespace {
					width, columns[b.x], rows[b.y] = max(width, b.w), true, true
				}
			}
			if room := (len(columns) + 2) * (width + m.gapX); room <= m.wide || (len(rows)-1)*len(columns) >= containers {
				t.Errorf("%d networks, paper %d: %d rows and %d columns of %d, where %d are %d of %d", networks, i, len(rows), len(columns), width, len(columns)+2, room, m.wide)
			}
		}
	}
}

// abreast is a host with so many containers, each of which is on all networks.
func abreast(containers, networks int) Picture {
	p := sample(make([]int, networks)...)
	for c := range containers {
		ns := fmt.Sprintf("ns:front-%d", c)
		p.Boxes = append(p.Boxes, Box{ID: ns, Kind: Namespace, Lane: "front", Title: ns[3:]})
		for n, network := range []string{"front", "back", "ports"}[:networks] {
			p.attach(ns, "link:"+network+"0", fmt.Sprintf("eth%d", n), fmt.Sprintf("10.%d.0.%d/16", n, c+2), -1)
		}
	}
	return p
}
