package tool

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/fault"
)

func TestGraphFormats(t *testing.T) {
	for _, c := range []struct {
		given graph
		want  string
	}{
		{graph{}, "text"}, {graph{file: "a.svg"}, "svg"}, {graph{file: "a.mmd"}, "mermaid"}, {graph{file: "a.svg", format: "dot"}, "dot"},
		{graph{file: "a"}, "text"}, {graph{format: "json"}, "json"}, {graph{json: true, file: "a.svg"}, "json"},
	} {
		if err := c.given.settle(); err != nil || c.given.format != c.want {
			t.Errorf("%+v: %v, want %s", c.given, err, c.want)
		}
	}
	for _, name := range []string{"x.png", "x.svg.gz", "dir.d/x.jpg"} {
		if err := (&graph{file: name}).settle(); err == nil || !strings.Contains(fault.Hint(err), ".svg") {
			t.Errorf("%s: %v (%s), want the formats", name, err, fault.Hint(err))
		}
	}
	if err := (&graph{format: "p\x1bdf"}).settle(); err == nil || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("an unknown format: %v", err)
	}
}

// --open hands over an image, and says so before it reads the host where there is nothing to hand it to.
func TestGraphOpen(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if err := (&graph{open: true}).settle(); err == nil || !strings.Contains(err.Error(), "xdg-open: not found") {
		t.Errorf("without xdg-open: %v", err)
	}
	write(t, "#!/bin/sh\nread -r line <\"$1\"\necho \"$line\" >"+dir+"/seen\n", dir, "xdg-open")
	t.Setenv("TMPDIR", dir)
	g := graph{open: true}
	if err := g.settle(); err != nil || g.format != "svg" {
		t.Fatalf("%+v, %v", g, err)
	}
	if err := g.show(t.Context(), "<svg/>\n"); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "trestle-*.svg"))
	if got := read(t, dir, "seen"); got != "<svg/>\n" || len(files) != 1 {
		t.Errorf("the program saw %q in %v", got, files)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
}
