package draw

import (
	"fmt"
	"strings"
)

// DOT writes the picture for Graphviz.
func (p Picture) DOT() string {
	var out strings.Builder
	fmt.Fprintf(&out, "digraph host {\n  label=%s; labelloc=t; rankdir=TB; newrank=true; node [shape=box, fontname=\"monospace\"]; edge [dir=none];\n", dotQuote(p.Title))
	p.nest(&out, "  ", "", dotOpen, dotBox)
	for _, lane := range p.lanes() {
		fmt.Fprintf(&out, "  subgraph %s {\n    label=%s; style=rounded; color=gray;\n", dotQuote("cluster lane "+lane), dotQuote(lane))
		p.nest(&out, "    ", lane, dotOpen, dotBox)
		out.WriteString("  }\n")
	}
	for _, e := range p.Edges {
		fmt.Fprintf(&out, "  %s -> %s [label=%s%s];\n", dotQuote(e.From), dotQuote(e.To), dotQuote(e.Label), dotState(e.State))
	}
	out.WriteString("}\n")
	return out.String()
}

// nest writes the boxes of a lane, those that hold others around them.
func (p Picture) nest(out *strings.Builder, indent, lane string, open func(Box) (string, string), one func(Box) string) {
	held := map[string][]Box{}
	for _, b := range p.Boxes {
		held[b.In] = append(held[b.In], b)
	}
	for _, b := range held[""] {
		if b.Lane != lane {
			continue
		}
		if len(held[b.ID]) == 0 {
			out.WriteString(indent + one(b) + "\n")
			continue
		}
		first, last := open(b)
		out.WriteString(indent + first + "\n")
		for _, inner := range append([]Box{b}, held[b.ID]...) {
			out.WriteString(indent + "  " + one(inner) + "\n")
		}
		out.WriteString(indent + last + "\n")
	}
}

func dotOpen(b Box) (first, last string) {
	return fmt.Sprintf("subgraph %s { label=\"\"; style=rounded;", dotQuote("cluster "+b.ID)), "}"
}

func dotBox(b Box) string {
	return fmt.Sprintf("%s [label=%s%s];", dotQuote(b.ID), dotQuote(b.label("\n")), dotState(b.State))
}

// label is all of a box's text.
func (b Box) label(newline string) string {
	lines := []string{Clean(b.Title)}
	for _, l := range b.Lines {
		lines = append(lines, Clean(l.Text))
	}
	if word := b.word(); word != "" {
		lines = append(lines, "("+Clean(word)+")")
	}
	return strings.Join(lines, newline)
}

func dotState(s State) string {
	return map[State]string{
		Broken: `, color="#d55e00", fontcolor="#a84400", style=dashed`, Leaked: `, color="#9b3f84", fontcolor="#7d2a69", style=dotted`,
		Foreign: `, color="#8a8a8a", fontcolor="#666666"`,
	}[s]
}

// dotQuote writes a string of DOT. A backslash that is not ours must not begin an escape sequence of DOT's.
func dotQuote(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(Clean(line))
	}
	return `"` + strings.Join(lines, `\n`) + `"`
}

// Mermaid writes the picture as a flowchart, for pages that draw such text.
func (p Picture) Mermaid() string {
	ids := map[string]string{}
	for i, b := range p.Boxes {
		ids[b.ID] = fmt.Sprintf("b%d", i)
	}
	var out strings.Builder
	fmt.Fprintf(&out, "flowchart TB\n  %%%% %s\n", Clean(p.Title))
	one := func(b Box) string {
		return fmt.Sprintf("%s[\"%s\"]%s", ids[b.ID], mermaidText(b.label("\n")), mermaidClass(b.State))
	}
	open := func(b Box) (string, string) { return fmt.Sprintf("subgraph s%s[\" \"]", ids[b.ID]), "end" }
	p.nest(&out, "  ", "", open, one)
	for i, lane := range p.lanes() {
		fmt.Fprintf(&out, "  subgraph l%d[\"%s\"]\n", i, mermaidText(lane))
		p.nest(&out, "    ", lane, open, one)
		out.WriteString("  end\n")
	}
	for _, e := range p.Edges {
		if ids[e.From] == "" || ids[e.To] == "" {
			continue
		}
		line := map[State]string{Normal: "---", Foreign: "---", Broken: "-.-", Leaked: "-.-"}[e.State]
		if e.Label != "" {
			line += "|\"" + mermaidText(e.Label) + "\"|"
		}
		fmt.Fprintf(&out, "  %s %s %s\n", ids[e.From], line, ids[e.To])
	}
	out.WriteString("  classDef broken stroke:#d55e00,stroke-width:3px,stroke-dasharray:8 3\n" +
		"  classDef leaked stroke:#9b3f84,stroke-width:3px,stroke-dasharray:2 3\n  classDef foreign stroke:#8a8a8a,fill:#efefef\n")
	return out.String()
}

func mermaidClass(s State) string {
	if s == Normal {
		return ""
	}
	return ":::" + string(s)
}

// mermaidText writes what would end or format a label as entities, in Mermaid's own spelling of them.
func mermaidText(s string) string {
	var out strings.Builder
	for i, line := range strings.Split(s, "\n") {
		if i > 0 {
			out.WriteString("<br>")
		}
		for _, r := range Clean(line) {
			if strings.ContainsRune("\"#&;<>`*_{}[]()|\\%", r) {
				fmt.Fprintf(&out, "#%d;", r)
			} else {
				out.WriteRune(r)
			}
		}
	}
	return out.String()
}
