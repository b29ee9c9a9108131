package main

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// plot draws each scenario that has several columns, and the bars of the first.
func (r *Report) plot(dir string) error {
	var errs []error
	for _, result := range r.Results {
		draw, of := result.lines, []string{"ADD", "DEL"}
		switch result.Scenario {
		case "execs", "mix": // a table says it all
			continue
		case "one":
			draw = result.bars
		case "reach":
			of = []string{"TCP last", "UDP last"}
		}
		for _, verb := range of {
			file := fmt.Sprintf("%s-%s.svg", result.Scenario, strings.ReplaceAll(verb, " ", "-"))
			errs = append(errs, draw(verb, filepath.Join(dir, file)))
		}
	}
	return errors.Join(errs...)
}

func (r *Result) bars(verb, file string) error {
	p := plot.New()
	p.Title.Text, p.Y.Label.Text = fmt.Sprintf("%s: %s, median", r.Title, verb), "milliseconds"
	var values plotter.Values
	var names []string
	for _, s := range r.Series {
		if s.Verb == verb {
			values, names = append(values, s.Seen.Median(nil)), append(names, s.Contestant)
		}
	}
	if len(values) == 0 {
		return nil
	}
	bars, err := plotter.NewBarChart(values, vg.Points(28))
	if err != nil {
		return err
	}
	bars.Color = color.RGBA{R: 0x33, G: 0x66, B: 0x99, A: 0xff}
	p.Add(bars)
	p.NominalX(names...)
	p.Y.Min = 0
	return p.Save(16*vg.Centimeter, 9*vg.Centimeter, file)
}

// lines has a line a contestant over the columns. Calls at a time are shown by their rate.
func (r *Result) lines(verb, file string) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = fmt.Sprintf("%s: %s", r.Title, verb), r.Title, "milliseconds, median"
	columns := r.columns()
	var args []any
	for _, name := range r.contestants() {
		var points plotter.XYs
		for x, column := range columns {
			s := r.find(name, column, verb)
			if s == nil {
				continue
			}
			y := s.Seen.Median(nil)
			if r.Scenario == "parallel" {
				y, p.Y.Label.Text = s.Rate.Median(nil), "calls a second"
			}
			if !math.IsNaN(y) {
				points = append(points, plotter.XY{X: float64(x), Y: y})
			}
		}
		if len(points) > 1 {
			args = append(args, name, points)
		}
	}
	if len(args) == 0 {
		return nil // nothing to compare
	}
	if err := plotutil.AddLinePoints(p, args...); err != nil {
		return err
	}
	p.NominalX(columns...)
	p.Legend.Top, p.Legend.Left = true, true
	if r.Scenario == "reach" { // which is to be flat
		p.Y.Min, p.Y.Max = 0, 2*p.Y.Max
	} else {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: 0}
		p.Y.Max *= 8 // room for the legend above the lines
	}
	return p.Save(16*vg.Centimeter, 9*vg.Centimeter, file)
}

func (r *Result) contestants() (names []string) {
	seen := make(map[string]bool)
	for _, s := range r.Series {
		if !seen[s.Contestant] {
			seen[s.Contestant] = true
			names = append(names, s.Contestant)
		}
	}
	return names
}
