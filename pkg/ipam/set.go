package ipam

import (
	"net/netip"
	"strings"
)

// Set is a list of ranges of one family, any of which will do for one address of a container.
type Set []Range

// Find returns the set's range that contains the address.
func (s Set) Find(addr netip.Addr) (Range, bool) {
	for _, r := range s {
		if r.Contains(addr) {
			return r, true
		}
	}
	return Range{}, false
}

// Overlaps says whether an address lies in both sets.
func (s Set) Overlaps(o Set) bool {
	for _, a := range s {
		for _, b := range o {
			if a.Overlaps(b) {
				return true
			}
		}
	}
	return false
}

func (s Set) String() string {
	texts := make([]string, len(s))
	for i, r := range s {
		texts[i] = r.String()
	}
	return strings.Join(texts, ",")
}

// Span is a stretch of one range, From and To included.
type Span struct {
	Range
	From, To netip.Addr
}

// After returns the set in the order of round robin: the stretches that begin after the address reserved last and end with it,
// so that a released address is the last to be used again. Where that address is not of the set, the order begins with the
// first range. The stretches hold every address of the set once, the gateways included.
func (s Set) After(reserved netip.Addr) []Span {
	at := -1
	for i, r := range s {
		if r.Contains(reserved) {
			at = i
			break
		}
	}
	var spans []Span
	if at < 0 {
		for _, r := range s {
			spans = append(spans, Span{r, r.Start, r.End})
		}
		return spans
	}
	if reserved != s[at].End {
		spans = append(spans, Span{s[at], reserved.Next(), s[at].End})
	}
	for i := 1; i < len(s); i++ {
		r := s[(at+i)%len(s)]
		spans = append(spans, Span{r, r.Start, r.End})
	}
	return append(spans, Span{s[at], s[at].Start, reserved})
}
