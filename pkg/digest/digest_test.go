package digest

import (
	"crypto/sha256"
	"crypto/sha512"
	"strings"
	"testing"
)

// Ours are the standard library's, for each length around the ends of two blocks.
func TestStandard(t *testing.T) {
	text := strings.Repeat("net/container-\x00\xff/eth0 ", 20)
	for length := range len(text) {
		hold(t, text[:length])
	}
}

func FuzzStandard(f *testing.F) {
	f.Add("net/container/eth0")
	f.Fuzz(hold)
}

func hold(t *testing.T, text string) {
	t.Helper()
	if got, want := SHA256(text), sha256.Sum256([]byte(text)); got != want {
		t.Errorf("SHA256(%q) = %x, want %x", text, got, want)
	}
	if got, want := SHA512(text), sha512.Sum512([]byte(text)); got != want {
		t.Errorf("SHA512(%q) = %x, want %x", text, got, want)
	}
}
