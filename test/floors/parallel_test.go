package floors

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// alone are the tests of test/e2e that have the machine to themselves, as far as one can, and why.
var alone = map[string]string{
	"TestBandwidthUnderLoad": "measures how long an answer takes beside a stream",
	"TestFairQueue":          "measures what overtakes",
	"TestInstallOverOurOwn":  "tells its host in namespaces of its own by the environment what to look at",
}

// TestWaitsBesideOthers: a test of test/e2e that has a host of its own runs beside the others: it mostly waits, and what waits alone costs all of them that time.
func TestWaitsBesideOthers(t *testing.T) {
	files, err := filepath.Glob("../e2e/*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, is := d.(*ast.FuncDecl)
			if !is || !strings.HasPrefix(f.Name.Name, "Test") || !calls(f, "nstest", "Run") {
				continue
			}
			if _, measures := alone[f.Name.Name]; calls(f, "t", "Parallel") == measures {
				t.Errorf("%s: %s is parallel or one of those that have the machine to themselves", filepath.Base(name), f.Name.Name)
			}
		}
	}
}

// calls says whether the function calls x.name.
func calls(f *ast.FuncDecl, x, name string) (does bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		if s, is := n.(*ast.SelectorExpr); is && s.Sel.Name == name {
			of, is := s.X.(*ast.Ident)
			does = does || is && of.Name == x
		}
		return true
	})
	return does
}
