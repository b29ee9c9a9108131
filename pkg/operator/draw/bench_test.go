package draw

import "testing"

// BenchmarkLegible draws the largest picture that shows every container.
func BenchmarkLegible(b *testing.B) {
	p := sample(120, 80)
	b.Run("text", func(b *testing.B) {
		for b.Loop() {
			p.Text(Terminal{Width: 120})
		}
	})
	b.Run("svg", func(b *testing.B) {
		for b.Loop() {
			p.SVG()
		}
	})
}

// BenchmarkCrowd counts ten thousand.
func BenchmarkCrowd(b *testing.B) {
	p := sample(10000)
	for b.Loop() {
		p.Group(Legible).SVG()
	}
}
