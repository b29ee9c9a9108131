package chart

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// samples are charts of what a run may find: values far apart, lines that end early or at one place, and long names.
func samples() map[string]string {
	c := Chart{Title: "By published ports, udp, of a pod on a host with a very long title that does not fit a line: ADD", Unit: "milliseconds",
		Sentence: strings.Repeat("What is to be seen, in a sentence. ", 6)}
	none := math.NaN()
	return map[string]string{
		"bars":   Bars(c, []Group{{"", []Bar{{"one exec & more", 0.83, 1}, {"1.10.0, nftables", 13483, 2}}}, {"both <families>", []Bar{{"floor", 0, 3}}}}),
		"lines":  Lines(c, "pods", []string{"1", "10", "10,000"}, []Line{{"one", []float64{1, 2, 3}, 1}, {"other", []float64{1, 2, 3.01}, 2}, {"third", []float64{10, 13483, none}, 3}}, true),
		"flat":   Lines(c, "ports", []string{"10", "100"}, []Line{{"ours", []float64{0.047, 0.048}, 1}}, false),
		"bottom": Lines(c, "ports", []string{"1", "2"}, []Line{{"a", []float64{1, 1}, 1}, {"b", []float64{1, 1}, 2}, {"c", []float64{1, 1}, 3}, {"d", []float64{1, 900}, 4}}, true),
	}
}

var texts = regexp.MustCompile(`<text class="([a-z ]*)" x="([0-9.]+)" y="([0-9.]+)"[^>]*>([^<]*)</text>`)

// box is where a text stands, with the widest font.
type box struct{ left, right, y float64 }

func boxes(picture string) (list []box) {
	for _, m := range texts.FindAllStringSubmatch(picture, -1) {
		x, _ := strconv.ParseFloat(m[2], 64)
		y, _ := strconv.ParseFloat(m[3], 64)
		one := float64(character)
		if m[1] == "title" {
			one = large
		}
		long := one * float64(len([]rune(strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">", "&#39;", "'").Replace(m[4]))))
		b := box{x, x + long, y}
		if strings.Contains(m[1], "end") {
			b = box{x - long, x, y}
		} else if strings.Contains(m[1], "middle") {
			b = box{x - long/2, x + long/2, y}
		}
		list = append(list, b)
	}
	return list
}

// Every text has its place within the image, and none is written over another.
func TestTextsHaveRoom(t *testing.T) {
	for name, picture := range samples() {
		list := boxes(picture)
		if len(list) < 5 {
			t.Fatalf("%s: %d texts", name, len(list))
		}
		for i, a := range list {
			if a.left < 0 || a.right > width {
				t.Errorf("%s: %+v is not within %d", name, a, width)
			}
			for _, b := range list[:i] {
				if a.left < b.right && b.left < a.right && math.Abs(a.y-b.y) < 13 {
					t.Errorf("%s: %+v is over %+v", name, a, b)
				}
			}
		}
	}
}

// An image is well-formed, and another program draws it, small and large.
func TestDrawn(t *testing.T) {
	for name, picture := range samples() {
		if err := xml.Unmarshal([]byte(picture), new(struct{})); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, wide := range []string{"700", "1400"} {
			cmd := exec.Command("rsvg-convert", "-w", wide)
			cmd.Stdin = strings.NewReader(picture)
			if out, err := cmd.CombinedOutput(); err != nil || !bytes.HasPrefix(out, []byte("\x89PNG")) {
				t.Errorf("%s at %s: %v: %.80q", name, wide, err, out)
			}
		}
		if strings.Contains(picture, "NaN") || strings.Contains(picture, "Inf") {
			t.Errorf("%s: a place that is no number", name)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.83: "0.83", 4.85: "4.85", 7: "7", 57.4: "57.4", 100: "100", 1729.4: "1,729", 13483: "13,483", 1234567: "1,234,567",
		0.0471: "0.0471", 10: "10", 0.5: "0.5", math.NaN(): "0"} {
		if got := Number(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	if fmt.Sprint(apart([]float64{10, 11, 12}, 20)) != "[-14 3 20]" {
		t.Error(apart([]float64{10, 11, 12}, 20))
	}
}

// A name does not lie on a line that goes on to the right of it, rising or falling.
func TestBeside(t *testing.T) {
	p := plane{top: 0, bottom: 300, low: 0, high: 300, steps: 3}
	for _, c := range []struct{ next, value, want float64 }{
		{100, 98, 215},  // just below it
		{100, 105, 215}, // just above it
		{150, 120, 215}, // it rises through the name
		{50, 98, 265},   // it falls through it
		{100, 200, 100}, // far away
	} {
		lines := []Line{{Values: []float64{100, 100, c.next}}, {Values: []float64{100, c.value, math.NaN()}}}
		if got := p.beside([]float64{p.y(c.value)}, 1, lines); got[0] != c.want {
			t.Errorf("a name at %v beside a line from 100 to %v: %v, want %v", c.value, c.next, got, c.want)
		}
	}
}
