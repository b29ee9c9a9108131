// Package digest hashes short texts, for names, by the SHA-2 of FIPS 180-4: what names and keys of ours and of the reference are made of. The standard
// library's brings AES, a random generator and their self-tests into each binary, 160 KB that every node downloads and every start of a plugin goes through;
// nothing here is secret, and nothing is long.
package digest

import (
	"encoding/binary"
	"math/bits"
)

// SHA256 is the SHA-256 of the text.
func SHA256(text string) (sum [32]byte) {
	var state [8]uint32
	for i, root := range roots {
		state[i] = uint32(root >> 32)
	}
	for rest := pad(text, 64); len(rest) > 0; rest = rest[64:] {
		block256(&state, rest)
	}
	for i, word := range state {
		binary.BigEndian.PutUint32(sum[4*i:], word)
	}
	return sum
}

// SHA512 is the SHA-512 of the text.
func SHA512(text string) (sum [64]byte) {
	state := roots
	for rest := pad(text, 128); len(rest) > 0; rest = rest[128:] {
		block512(&state, rest)
	}
	for i, word := range state {
		binary.BigEndian.PutUint64(sum[8*i:], word)
	}
	return sum
}

// pad ends the text with a bit, zeros, and its length in bits, which has an eighth of a block.
func pad(text string, block int) []byte {
	size := (len(text) + 1 + block/8 + block - 1) / block * block
	padded := make([]byte, size)
	padded[copy(padded, text)] = 0x80
	binary.BigEndian.PutUint64(padded[size-8:], 8*uint64(len(text)))
	return padded
}

func block256(state *[8]uint32, block []byte) {
	var w [64]uint32
	for i := range w {
		if i < 16 {
			w[i] = binary.BigEndian.Uint32(block[4*i:])
			continue
		}
		a, b := w[i-15], w[i-2]
		w[i] = w[i-16] + w[i-7] + (turn32(a, 7) ^ turn32(a, 18) ^ a>>3) + (turn32(b, 17) ^ turn32(b, 19) ^ b>>10)
	}
	s := *state
	for i, word := range w {
		a, b, c, e, f, g := s[0], s[1], s[2], s[4], s[5], s[6]
		t := s[7] + (turn32(e, 6) ^ turn32(e, 11) ^ turn32(e, 25)) + (e&f ^ ^e&g) + uint32(cubes[i]>>32) + word
		u := (turn32(a, 2) ^ turn32(a, 13) ^ turn32(a, 22)) + (a&b ^ a&c ^ b&c)
		s = [8]uint32{t + u, a, b, c, s[3] + t, e, f, g}
	}
	for i := range s {
		state[i] += s[i]
	}
}

func block512(state *[8]uint64, block []byte) {
	var w [80]uint64
	for i := range w {
		if i < 16 {
			w[i] = binary.BigEndian.Uint64(block[8*i:])
			continue
		}
		a, b := w[i-15], w[i-2]
		w[i] = w[i-16] + w[i-7] + (turn64(a, 1) ^ turn64(a, 8) ^ a>>7) + (turn64(b, 19) ^ turn64(b, 61) ^ b>>6)
	}
	s := *state
	for i, word := range w {
		a, b, c, e, f, g := s[0], s[1], s[2], s[4], s[5], s[6]
		t := s[7] + (turn64(e, 14) ^ turn64(e, 18) ^ turn64(e, 41)) + (e&f ^ ^e&g) + cubes[i] + word
		u := (turn64(a, 28) ^ turn64(a, 34) ^ turn64(a, 39)) + (a&b ^ a&c ^ b&c)
		s = [8]uint64{t + u, a, b, c, s[3] + t, e, f, g}
	}
	for i := range s {
		state[i] += s[i]
	}
}

func turn32(word uint32, right int) uint32 { return bits.RotateLeft32(word, -right) }
func turn64(word uint64, right int) uint64 { return bits.RotateLeft64(word, -right) }
