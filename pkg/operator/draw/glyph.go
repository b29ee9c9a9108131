package draw

import "unicode"

// light has a glyph for each set of arms.
var light = [16]string{
	0: " ", north: "│", south: "│", north | south: "│", east: "─", west: "─", east | west: "─",
	east | south: "┌", west | south: "┐", north | east: "└", north | west: "┘",
	north | south | east: "├", north | south | west: "┤", east | west | south: "┬", east | west | north: "┴", north | east | south | west: "┼",
}

// double is for the borders of what is broken; a wire that meets one stays light.
var double = [16]string{
	0: " ", north: "║", south: "║", north | south: "║", east: "═", west: "═", east | west: "═",
	east | south: "╔", west | south: "╗", north | east: "╚", north | west: "╝",
	north | south | east: "╟", north | south | west: "╢", east | west | south: "╤", east | west | north: "╧", north | east | south | west: "╪",
}

func (c *ink) glyph(ascii bool) string {
	switch {
	case c.text != "" && ascii:
		return plain(c.text)
	case c.text != "":
		return c.text
	}
	a := c.arms
	if !c.border && c.down != 0 && c.over != 0 && c.down != c.over { // they cross: the one that runs across goes below
		a &= north | south
	}
	if ascii {
		return c.ascii(a)
	}
	switch straight := a == north|south || a == east|west; {
	case c.state == Broken && c.border:
		return double[a]
	case straight && (c.state == Leaked || c.state == Broken) && a == north|south:
		return "╎"
	case straight && c.state == Leaked:
		return "╌"
	}
	return light[a]
}

func (c *ink) ascii(a arms) string {
	up, over := a&(north|south) != 0, a&(east|west) != 0
	switch {
	case up && over && c.border && c.state == Broken:
		return "#"
	case up && over:
		return "+"
	case up && c.state != Normal && c.state != Foreign:
		return ":"
	case up:
		return "|"
	case over && c.border && c.state == Broken:
		return "="
	case over && c.state == Leaked:
		return "."
	case over:
		return "-"
	}
	return " "
}

// plain is the text where only ASCII can be shown.
func plain(s string) string {
	r := []rune(s)[0]
	switch {
	case r < 0x80:
		return string(r)
	case r == '…':
		return "~"
	case r == '→':
		return ">"
	case unicode.IsSpace(r):
		return " "
	}
	return "?"
}
