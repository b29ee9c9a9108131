package draw

import "slices"

// inside places a box's own text: below the interfaces in a namespace, in the middle elsewhere.
func (l *layout) inside(b Box, r rect) []text {
	texts := l.m.content(b)
	y := r.y + (r.h-len(texts)*l.m.line)/2
	if b.Kind == Namespace {
		y = r.y + r.h - l.m.border - l.m.padY - len(texts)*l.m.line
	}
	for i := range texts {
		texts[i].x, texts[i].y = r.x+(r.w-texts[i].w)/2, y+i*l.m.line
	}
	return texts
}

// outside is the text that stands in no box: names of lanes, labels of wires.
func (l *layout) outside() []text {
	var texts []text
	for _, a := range l.lanes {
		if a.name != "" {
			s := l.name(a)
			r := rect{a.x + l.m.frame, l.yTop[l.bandRow(a.band)] - l.m.line - l.m.gapY/2, l.m.width(s, laneText), l.m.line}
			texts = append(texts, text{rect: r, s: s, role: laneText})
		}
	}
	for _, n := range l.nets {
		for _, s := range n.sinks {
			if label := l.label(s.to); label != "" && s.to != n.from {
				p := l.port(s)
				r := rect{p.x + max(1, l.m.gapX/3), l.yTop[l.row[s.to]] - l.m.line - l.m.gapY/4, l.m.width(label, labelText), l.m.line}
				texts = append(texts, text{rect: r, s: label, role: labelText, state: s.edge.State})
			}
		}
	}
	return texts
}

// caption writes the title on top and the notes at the bottom, as wide as the picture is.
func (l *layout) caption(s *sheet) {
	title := l.m.clean(l.p.Title)
	s.texts = append(s.texts, text{rect: rect{l.m.gapX, l.m.gapY, l.m.width(title, titleText), l.m.line}, s: title, role: titleText})
	most := (s.w - 2*l.m.gapX) / l.m.width("m", plainText)
	for _, note := range l.p.Notes {
		for _, line := range l.m.wrap(l.m.clean(note), most) {
			line = short(line, most)
			s.texts = append(s.texts, text{rect: rect{l.m.gapX, s.h, l.m.width(line, plainText), l.m.line}, s: line, role: plainText})
			s.h += l.m.line
		}
	}
	legend := l.legend()
	for _, t := range legend {
		t.x, t.y = l.m.gapX, s.h
		s.texts = append(s.texts, t)
		s.w, s.h = max(s.w, t.w+2*l.m.gapX), s.h+l.m.line
	}
	if len(l.p.Notes)+len(legend) > 0 {
		s.h += l.m.gapY
	}
}

// legend says of each state that is in the picture how it looks, and what it means.
func (l *layout) legend() (texts []text) {
	meaning := map[State]string{Broken: "broken: not as its plugin made it", Leaked: "leaked: nobody is left who would remove it",
		Foreign: "not ours: another's, or made by hand"}
	for _, state := range []State{Broken, Leaked, Foreign} {
		if slices.ContainsFunc(l.p.Boxes, func(b Box) bool { return b.State == state }) {
			line := l.m.legend[state] + meaning[state]
			texts = append(texts, text{rect: rect{w: l.m.width(line, wordText), h: l.m.line}, s: line, role: wordText, state: state})
		}
	}
	return texts
}
