package floors

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// docs/errors.md has a row for each code of pkg/fault, and no other.
func TestErrorsPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "../../pkg/fault/fault.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !spec.Names[0].IsExported() {
			return true
		}
		code, ok := spec.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		codes++
		if row := fmt.Sprintf("\n| %s | %s | ", code.Value, spec.Names[0].Name); !strings.Contains(string(page), row) {
			t.Errorf("docs/errors.md has no row %q", row[1:])
		}
		return true
	})
	if rows := strings.Count(string(page), "\n| ") - 1; rows != codes {
		t.Errorf("docs/errors.md has %d rows for %d codes", rows, codes)
	}
}

// What users see of thirty failures is in the page: a line for each of those that test/runtimes has happen under real runtimes (failures.go), with the three parts that it holds
// there, in their order; and no line is of anything else.
func TestErrorsSeen(t *testing.T) {
	page, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "plugin type=") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	file, err := parser.ParseFile(token.NewFileSet(), "../runtimes/failures.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	known, failures := make(map[string]bool), 0
	ast.Inspect(file, func(n ast.Node) bool {
		name, parts := saysOf(n)
		if len(parts) == 0 {
			return true
		}
		failures++
		shown := false
		for _, line := range lines {
			if inOrder(line, parts) {
				known[line], shown = true, true
			}
		}
		if !shown {
			t.Errorf("docs/errors.md does not show %s: %q", name, parts)
		}
		return true
	})
	for _, line := range lines {
		if !known[line] {
			t.Errorf("docs/errors.md shows what nothing holds: %s", line)
		}
	}
	if failures < 30 {
		t.Errorf("%d failures", failures)
	}
}

// saysOf is what a failure of test/runtimes is called, and what it says; nothing where it is none.
func saysOf(n ast.Node) (name string, parts []string) {
	failure, is := n.(*ast.CompositeLit)
	if !is {
		return "", nil
	}
	for _, element := range failure.Elts {
		pair, is := element.(*ast.KeyValueExpr)
		if !is {
			continue
		}
		switch value := pair.Value.(type) {
		case *ast.BasicLit:
			if key, is := pair.Key.(*ast.Ident); is && key.Name == "name" {
				name = value.Value
			}
		case *ast.CompositeLit:
			for _, part := range value.Elts {
				if text, is := part.(*ast.BasicLit); is {
					if word, err := strconv.Unquote(text.Value); err == nil {
						parts = append(parts, word)
					}
				}
			}
		}
	}
	return name, parts
}

// inOrder says whether the line has the words, one after the other.
func inOrder(line string, words []string) bool {
	for _, word := range words {
		_, after, is := strings.Cut(line, word)
		if !is {
			return false
		}
		line = after
	}
	return true
}
