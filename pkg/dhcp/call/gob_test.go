package call

import (
	"bufio"
	"bytes"
	"encoding/gob"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// everything has each kind of value that the protocol has, and some that a newer end may have.
type everything struct {
	Text    string
	Yes     bool
	Number  int
	Natural uint64
	Bytes   []byte
	Pointer *int
	Texts   []string
	Inner   struct{ A, B int }
	List    []*struct{ Name string }
	Map     map[string]int
}

// TestGob reads what package gob writes, of all sizes of numbers.
func TestGob(t *testing.T) {
	for _, n := range []int{0, 1, -1, 63, 64, -64, -65, 127, 128, 255, 256, 1<<31 - 1, -1 << 31, 1<<62 + 1, -1 << 63} {
		v := everything{Text: "x", Yes: true, Number: n, Natural: uint64(n), Bytes: make([]byte, 300), Pointer: &n, Texts: []string{"", "b"}, List: []*struct{ Name string }{{"one"}, {""}}}
		v.Inner.B = n
		var out bytes.Buffer
		if err := gob.NewEncoder(&out).Encode(v); err != nil {
			t.Fatal(err)
		}
		got, err := newDecoder(bufio.NewReader(&out)).decode()
		if err != nil {
			t.Fatal(err)
		}
		want := object{"Text": "x", "Yes": true, "Bytes": make([]byte, 300), "Texts": []any{"", "b"}, "List": []any{object{"Name": "one"}, object{}}, "Inner": object{}}
		if n != 0 {
			want["Number"], want["Natural"], want["Pointer"], want["Inner"] = int64(n), uint64(n), int64(n), object{"B": int64(n)}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d: %s", n, diff)
		}
	}
}

// TestGobBack has package gob read what we write.
func TestGobBack(t *testing.T) {
	var out bytes.Buffer
	e, d := newEncoder(&out), gob.NewDecoder(&out)
	for range 2 { // the second without a description
		want := Args{ContainerID: "c1", StdinData: bytes.Repeat([]byte("x"), 70000)}
		if err := e.encode(argsID, want.object()); err != nil {
			t.Fatal(err)
		}
		var got Args
		if err := d.Decode(&got); err != nil || !cmp.Equal(want, got) {
			t.Errorf("%v", err)
		}
	}
}

// FuzzGob: whatever comes, an end is found, and nothing is taken without bound.
func FuzzGob(f *testing.F) {
	var out bytes.Buffer
	if err := gob.NewEncoder(&out).Encode(everything{Text: "x", Texts: []string{"a"}}); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Add([]byte{0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0x80})
	f.Add([]byte{2, 0x80, 0})
	f.Fuzz(func(_ *testing.T, text []byte) {
		d := newDecoder(bufio.NewReader(bytes.NewReader(text)))
		for {
			if _, err := d.decode(); err != nil {
				return
			}
		}
	})
}
