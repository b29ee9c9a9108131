package pool

import (
	"hash/fnv"
	"iter"
)

// Search is the order in which a host tries the blocks of a family: each once, from a place and by steps that follow from its name, so that hosts that
// start together do not meet, and a host that was away finds what it had.
func (d Definition) Search(network, node string, f Family) iter.Seq[ID] {
	n := uint64(d.Len(f))
	return func(yield func(ID) bool) {
		if n == 0 {
			return
		}
		at, step := hash(network, node, "place")%n, hash(network, node, "step")%n
		for step = max(step, 1); divisor(step, n) != 1; step = step%n + 1 { // so that no block is passed over
		}
		for range n {
			if !yield(ID{f, uint32(at)}) {
				return
			}
			at = (at + step) % n
		}
	}
}

func hash(texts ...string) uint64 {
	h := fnv.New64a()
	for _, text := range texts {
		_, _ = h.Write([]byte(text))
		_, _ = h.Write([]byte{0})
	}
	x := h.Sum64() // whose low bits of names that differ in their last letter alone are alike
	x = (x ^ x>>32) * 0xd6e8feb86659fd93
	return x ^ x>>32
}

func divisor(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
