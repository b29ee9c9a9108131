package fault

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestTree(t *testing.T) {
	taken := New(Taken, "free it", "port %d: held", 80)
	silent := New(Drift, "", "link: down")
	for _, c := range []struct {
		name string
		err  error
		code uint
		hint string
		text string
	}{
		{"one", taken, Taken, "free it", "port 80: held"},
		{"wrapped", fmt.Errorf("publication: %w", taken), Taken, "free it", "publication: port 80: held"},
		{"no fault", io.ErrUnexpectedEOF, Internal, "", "unexpected EOF"},
		{"the first code counts", Join(silent, taken), Drift, "free it", "link: down; port 80: held"},
		{"beside what is no fault", Join(io.EOF, taken), Taken, "free it", "EOF; port 80: held"},
		{"below a silent fault", New(NoService, "", "not ready: %w", taken), NoService, "free it", "not ready: port 80: held"},
		{"above another", New(NoService, "wait", "not ready: %w", taken), NoService, "wait", "not ready: port 80: held"},
		{"joins in joins", Join(Join(io.EOF, silent), Join(io.EOF, taken)), Drift, "free it", "EOF; link: down; EOF; port 80: held"},
		{"two wrapped at once", fmt.Errorf("%w, %w", silent, taken), Drift, "free it", "link: down, port 80: held"},
		{"joined by package errors", errors.Join(silent, taken), Drift, "free it", "link: down\nport 80: held"},
	} {
		if got := Code(c.err); got != c.code {
			t.Errorf("%s: code %d, want %d", c.name, got, c.code)
		}
		if got := Hint(c.err); got != c.hint {
			t.Errorf("%s: hint %q, want %q", c.name, got, c.hint)
		}
		if got := c.err.Error(); got != c.text {
			t.Errorf("%s: text %q, want %q", c.name, got, c.text)
		}
	}
}

func TestNothing(t *testing.T) {
	if err := Join(nil, nil); err != nil {
		t.Errorf("join of nothing: %v", err)
	}
	if Code(nil) != 0 || Hint(nil) != "" {
		t.Errorf("no error has code %d and hint %q", Code(nil), Hint(nil))
	}
}

func TestJoin(t *testing.T) {
	if err := Join(errors.New("a: gone"), errors.New("a: gone")); err.Error() != "a: gone" {
		t.Errorf("the same twice: %v", err)
	}
	if err := Join(nil, io.EOF, nil); err != io.EOF {
		t.Errorf("join of one is %#v, want it unchanged", err)
	}
	both := Join(fmt.Errorf("read: %w", io.EOF), io.ErrClosedPipe)
	if !errors.Is(both, io.EOF) || !errors.Is(both, io.ErrClosedPipe) {
		t.Errorf("%v hides what it joins", both)
	}
}

// The codes are an interface of the suite: a program that reads them must not see them move.
func TestCodes(t *testing.T) {
	got := []uint{Version, Environment, IO, Decoding, Config, Namespace, TryLater, NoService,
		Taken, Exhausted, Drift, Unsupported, Delegate, Interrupted, Internal}
	want := []uint{1, 4, 5, 6, 7, 8, 11, 50, 100, 101, 102, 103, 104, 105, 999}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("code number %d is %d, want %d", i, got[i], want[i])
		}
	}
}
