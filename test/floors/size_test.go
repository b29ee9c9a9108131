package floors

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What fits a screen is read; the rest is scrolled through.
const (
	longestFile     = 300
	longestFunction = 40
	ninetieth       = 25 // 90 of 100 functions are not longer
)

// productFiles parses the product's own source files, and those of the benchmark, a program that people run.
func productFiles(t *testing.T) (*token.FileSet, []*ast.File) {
	t.Helper()
	set := token.NewFileSet()
	var files []*ast.File
	for _, root := range []string{"../../cmd", "../../pkg", "../../plugins", "../../test/bench"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(set, path, nil, parser.ParseComments)
			files = append(files, file)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return set, files
}

func TestSizes(t *testing.T) {
	set, files := productFiles(t)
	lines := func(n ast.Node) int { return set.Position(n.End()).Line - set.Position(n.Pos()).Line + 1 }
	var functions []int
	for _, file := range files {
		if n := set.File(file.Pos()).LineCount(); n > longestFile {
			t.Errorf("%s: %d lines, want %d at the most", set.Position(file.Pos()).Filename, n, longestFile)
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			functions = append(functions, lines(f))
			if lines(f) > longestFunction {
				t.Errorf("%s: %s: %d lines, want %d at the most", set.Position(f.Pos()), f.Name.Name, lines(f), longestFunction)
			}
		}
	}
	slices.Sort(functions)
	if n := functions[len(functions)*9/10]; n > ninetieth {
		t.Errorf("90 of 100 functions have %d lines or fewer, want %d", n, ninetieth)
	}
}

// No work before main: a plugin's start is most of its life.
func TestNothingRunsBeforeMain(t *testing.T) {
	set, files := productFiles(t)
	for _, file := range files {
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Name.Name == "init" && d.Recv == nil {
					t.Errorf("%s: init", set.Position(d.Pos()))
				}
			case *ast.GenDecl:
				ast.Inspect(d, func(n ast.Node) bool {
					if s, ok := n.(*ast.SelectorExpr); ok && strings.HasPrefix(s.Sel.Name, "MustCompile") {
						t.Errorf("%s: a regular expression is compiled at the start", set.Position(s.Pos()))
					}
					return true
				})
			}
		}
	}
}

// What package slices sorts by a function is code anew for each kind of element.
func TestListsAreSortedByOneCode(t *testing.T) {
	set, files := productFiles(t)
	for _, file := range files {
		if name := set.Position(file.Pos()).Filename; !strings.HasPrefix(name, "../../pkg/") && !strings.HasPrefix(name, "../../plugins/") || file.Name.Name == "firewalltest" {
			continue // nobody downloads it with the plugins
		}
		ast.Inspect(file, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if ok && slices.Contains([]string{"SortFunc", "SortStableFunc", "SortedFunc", "SortedStableFunc"}, s.Sel.Name) {
				t.Errorf("%s: %s: pkg/order does it", set.Position(s.Pos()), s.Sel.Name)
			}
			return true
		})
	}
}

// Every exported name is explained.
func TestExportedNamesAreExplained(t *testing.T) {
	set, files := productFiles(t)
	for _, file := range files {
		for _, decl := range file.Decls {
			for _, name := range unexplained(decl) {
				t.Errorf("%s: %s has no comment", set.Position(name.Pos()), name.Name)
			}
		}
	}
}

func unexplained(decl ast.Decl) (names []*ast.Ident) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) && !wellKnown(d) {
			names = append(names, d.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if d.Doc == nil && s.Doc == nil && s.Name.IsExported() {
					names = append(names, s.Name)
				}
			case *ast.ValueSpec:
				if d.Doc == nil && s.Doc == nil && s.Comment == nil && s.Names[0].IsExported() {
					names = append(names, s.Names[0])
				}
			}
		}
	}
	return names
}

// wellKnown is true for methods whose meaning is that of a well-known interface: fmt.Stringer, error, and a plan's Step.
func wellKnown(d *ast.FuncDecl) bool {
	return d.Recv != nil && slices.Contains([]string{"String", "Error", "Unwrap", "Apply", "Undo", "Verify", "Guard", "Owners", "Ready", "Inside", "Carries"}, d.Name.Name)
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	kind := d.Recv.List[0].Type
	if star, ok := kind.(*ast.StarExpr); ok {
		kind = star.X
	}
	if generic, ok := kind.(*ast.IndexExpr); ok {
		kind = generic.X
	}
	name, ok := kind.(*ast.Ident)
	return ok && name.IsExported()
}
