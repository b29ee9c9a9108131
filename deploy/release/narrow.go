package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// overflows are lines of libraries that do not compile where a number is of 32 bits, and what stands for them there.
var overflows = []struct{ file, line, instead string }{
	{"github.com/google/nftables/conn.go", "in a single nftables transaction\", math.MaxUint32)", "in a single nftables transaction\", uint32(math.MaxUint32))"},
}

// narrowed is a copy of the tree with its libraries in it, and these lines mended. A line that is there no more has to go from the list.
func (r *release) narrowed() (string, error) {
	dir := filepath.Join(r.stage, "narrow")
	if err := r.clone(dir); err != nil {
		return "", err
	}
	if _, err := r.output("go", "-C", dir, "mod", "vendor"); err != nil {
		return "", err
	}
	for _, o := range overflows {
		path := filepath.Join(dir, "vendor", o.file)
		text, err := os.ReadFile(path)
		if err == nil && strings.Count(string(text), o.line) != 1 {
			err = fmt.Errorf("%s: has no line %s: it is mended, or another", o.file, o.line)
		}
		if err == nil {
			err = os.WriteFile(path, []byte(strings.Replace(string(text), o.line, o.instead, 1)), 0o644)
		}
		if err != nil {
			return "", err
		}
	}
	return dir, nil
}
