package floors

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// released are the architectures that a release is for, as it has them itself.
func released(t *testing.T) (names []string) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/release/build.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile(`\{name: "(\w+)"`).FindAllSubmatch(text, -1) {
		names = append(names, string(found[1]))
	}
	if len(names) < 8 {
		t.Fatalf("a release is for %v: expected more", names)
	}
	return names
}

// numbers are the constants of Linux that are said for an architecture alone, as golang.org/x/sys/unix has them.
func numbers(t *testing.T, arch string) map[string]string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), "unix", "zerrors_linux_"+arch+".go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, is := n.(*ast.ValueSpec); is && len(spec.Values) == 1 {
			value := spec.Values[0]
			if call, is := value.(*ast.CallExpr); is { // an error's or a signal's number
				value = call.Args[0]
			}
			if literal, is := value.(*ast.BasicLit); is {
				all[spec.Names[0].Name] = literal.Value
			}
		}
		return true
	})
	return all
}

// particular are the constants that are not the same number on all architectures of a release, with that of this machine.
func particular(t *testing.T) map[string]int64 {
	t.Helper()
	own, differ := numbers(t, runtime.GOARCH), make(map[string]int64)
	for _, arch := range released(t) {
		for name, value := range numbers(t, arch) {
			if value != own[name] {
				differ[name], _ = strconv.ParseInt(own[name], 0, 64)
			}
		}
	}
	if len(differ) < 100 {
		t.Fatalf("%d numbers differ: expected more", len(differ))
	}
	return differ
}

// telling says whether a number means one thing: small ones, and single bits, mean all sorts of things.
func telling(n int64) bool { return n >= 0x4000 && n&(n-1) != 0 }

// A number of the kernel's that other architectures have another for is nowhere in our text: golang.org/x/sys/unix knows them all.
func TestNumbersOfAnArchitectureAreNotOurs(t *testing.T) {
	differ := particular(t)
	by := make(map[int64][]string)
	for _, name := range slices.Sorted(maps.Keys(differ)) {
		by[differ[name]] = append(by[differ[name]], name)
	}
	set, files := productFiles(t)
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				value, err := strconv.ParseInt(n.Value, 0, 64)
				if names := by[value]; n.Kind == token.INT && err == nil && telling(value) && names != nil {
					t.Errorf("%s: %s is %v here, and another number elsewhere: name it by golang.org/x/sys/unix", set.Position(n.Pos()), n.Value, names)
				}
			case *ast.ValueSpec:
				if name := meant(n, differ); name != "" {
					t.Errorf("%s: %s is another number elsewhere: name it by golang.org/x/sys/unix", set.Position(n.Pos()), name)
				}
			}
			return true
		})
	}
}

var word = regexp.MustCompile(`[A-Z][A-Z0-9_]{3,}`)

// meant is the constant among these that a number is, by the comment on it; "" for none.
func meant(spec *ast.ValueSpec, among map[string]int64) string {
	if len(spec.Values) == 0 {
		return ""
	}
	if _, is := spec.Values[0].(*ast.BasicLit); !is {
		return ""
	}
	for _, name := range word.FindAllString(spec.Comment.Text()+spec.Doc.Text(), -1) {
		if _, is := among[name]; is {
			return name
		}
	}
	return ""
}

// wide are numbers of which the kernel has 32 bits without a sign: half of them are negative in the int of a processor of 32 bits.
var wide = []string{"Table", "Metric", "Priority", "table", "metric", "priority"}

// What the kernel counts in 32 bits is no int of ours, nor is what a key is read into that may be as large.
func TestWideNumbersAreNoInts(t *testing.T) {
	set, files := productFiles(t)
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Field:
				kind, is := n.Type.(*ast.Ident)
				for _, name := range n.Names {
					if is && kind.Name == "int" && slices.Contains(wide, name.Name) {
						t.Errorf("%s: %s is an int: uint32 has room for it on every processor", set.Position(n.Pos()), name.Name)
					}
				}
			case *ast.CallExpr:
				if narrows(n) && file.Name.Name != "keys" { // of which Int has bounds that are ints
					t.Errorf("%s: a key's number that may be larger becomes an int", set.Position(n.Pos()))
				}
			}
			return true
		})
	}
}

// narrows says whether a call is int(k.Large(...)) or int(k.Number(...)).
func narrows(n *ast.CallExpr) bool {
	kind, is := n.Fun.(*ast.Ident)
	if !is || kind.Name != "int" || len(n.Args) != 1 {
		return false
	}
	read, is := n.Args[0].(*ast.CallExpr)
	if !is {
		return false
	}
	by, is := read.Fun.(*ast.SelectorExpr)
	return is && (by.Sel.Name == "Large" || by.Sel.Name == "Number")
}
