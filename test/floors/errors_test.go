package floors

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
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
