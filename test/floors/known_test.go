package floors

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/trestle-cni/trestle/pkg/operator/known"
)

// homonyms are names of plugins that mean other things, too: a kind of link, a family of filters, a word in a rule, a capability, the product. As such
// they are constants, which are named for what they mean.
var homonyms = []string{"bridge", "vlan", "bandwidth", "trestle"}

// typed finds the type of a plugin in a piece of JSON.
var typed = regexp.MustCompile(`"type":\s*"([a-z-]+)"`)

// What the tool knows of a plugin stands in one table: nothing else of it has a plugin's name in a text, to compare with or to write.
func TestPluginsAreKnownInOnePlace(t *testing.T) {
	const operator, table = "../../pkg/operator", "../../pkg/operator/known"
	for path, file := range sources(t, operator) {
		if filepath.Dir(path) == table {
			continue
		}
		for _, name := range pluginNames(file) {
			t.Errorf("%s: %s: what the tool knows of a plugin is an entry in pkg/operator/known", path, name)
		}
	}
}

// Each plugin that is here has its entry.
func TestPluginsHaveAnEntry(t *testing.T) {
	folders, err := filepath.Glob("../../plugins/*/README.md")
	if err != nil || len(folders) == 0 {
		t.Fatal(folders, err)
	}
	for _, page := range folders {
		name := filepath.Base(filepath.Dir(page))
		if name == "chain" {
			name = known.Runner
		}
		if known.Of(name).Part == known.Stranger {
			t.Errorf("plugin %s: pkg/operator/known/table.go has no entry for it", name)
		}
	}
}

// sources parses the product's files below the folder.
func sources(t *testing.T, folder string) map[string]*ast.File {
	t.Helper()
	files := make(map[string]*ast.File)
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files[path], err = parser.ParseFile(token.NewFileSet(), path, nil, 0)
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatal(folder, len(files), err)
	}
	return files
}

// pluginNames are those that the file has in its texts.
func pluginNames(file *ast.File) (found []string) {
	known, constant := known.Names(), make(map[ast.Node]bool)
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GenDecl:
			for _, spec := range n.Specs {
				if values, ok := spec.(*ast.ValueSpec); ok && n.Tok == token.CONST {
					for _, v := range values.Values {
						constant[v] = true
					}
				}
			}
		case *ast.BasicLit:
			text, err := strconv.Unquote(n.Value)
			if err != nil || n.Kind != token.STRING {
				return true
			}
			if slices.Contains(known, text) && !(constant[n] && slices.Contains(homonyms, text)) {
				found = append(found, text)
			}
			for _, m := range typed.FindAllStringSubmatch(text, -1) {
				found = append(found, m[1])
			}
		}
		return true
	})
	return found
}

// The scan finds what it is for.
func TestNamesOfPluginsAreSeen(t *testing.T) {
	for text, want := range map[string]int{
		`func f(kind string) bool { return kind == "portmap" }`:                           1,
		`func f(kind string) bool { switch kind { case "ptp", "bridge": }; return true }`: 2,
		"var list = `{\"type\": \"bridge\"}`":                                             1,
		`const hostLocal = "host-local"`:                                                  1,
		`const family = "bridge"`:                                                         0,
		`var family = "bridge"`:                                                           1,
		`var text = "a bridge of the host"`:                                               0,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+text, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := pluginNames(file); len(got) != want {
			t.Errorf("%s: found %q, want %d", text, got, want)
		}
	}
}
