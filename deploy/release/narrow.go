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

// narrowed is a copy of the tree in which both modules have their libraries in them, with these lines mended. A line that is there no more has to go from the list.
func (r *release) narrowed() (string, error) {
	dir := filepath.Join(r.stage, "narrow")
	if err := r.clone(dir); err != nil {
		return "", err
	}
	for _, module := range []string{".", nodeModule} {
		if err := r.mend(filepath.Join(dir, module)); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// mend puts the libraries of the module in that folder there, and mends them.
func (r *release) mend(module string) error {
	if _, err := r.output("go", "-C", module, "mod", "vendor"); err != nil {
		return err
	}
	for _, o := range overflows {
		path := filepath.Join(module, "vendor", o.file)
		text, err := os.ReadFile(path)
		if err == nil && strings.Count(string(text), o.line) != 1 {
			err = fmt.Errorf("%s: has no line %s: it is mended, or another", o.file, o.line)
		}
		if err == nil {
			err = os.WriteFile(path, []byte(strings.Replace(string(text), o.line, o.instead, 1)), 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
