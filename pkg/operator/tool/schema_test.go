package tool

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trestle-cni/trestle/pkg/journal"
	"github.com/trestle-cni/trestle/pkg/operator/draw"
	"github.com/trestle-cni/trestle/pkg/operator/page"
	"github.com/trestle-cni/trestle/pkg/operator/trace"
)

var update = flag.Bool("update", false, "write docs/schema.md instead of comparing with it")

// answers are what the commands print with --json.
var answers = []struct {
	command string
	value   any
}{
	{"trestle ls", listAnswer{}},
	{"trestle show WHAT", showAnswer{}},
	{"trestle context [NAMESPACE]", contextAnswer{}},
	{"trestle context [NAMESPACE] --diff", page.Page{}},
	{"trestle graph", draw.Picture{}},
	{"trestle trace FROM TO", trace.Answer{}},
	{"trestle doctor", doctorAnswer{}},
	{"trestle lint FILE...", lintAnswer{}},
	{"trestle log [WHAT]", journal.Entry{}},
	{"trestle top", topAnswer{}},
	{"trestle gc", gcAnswer{}},
	{"trestle repair", repairAnswer{}},
	{"trestle install", installAnswer{}},
	{"trestle uninstall", installAnswer{}},
	{"trestle version", versionAnswer{}},
}

const schemaPage = "../../../docs/schema.md"

// docs/schema.md is made from the types that are printed and their comments, so that no field is printed that is not there.
func TestSchemaPage(t *testing.T) {
	s := &schema{words: make(map[string]string), seen: make(map[reflect.Type]bool)}
	for _, dir := range []string{".", "../observe", "../page", "../ruleset", "../trace", "../doctor", "../draw", "../../journal"} {
		s.readComments(t, dir)
	}
	s.WriteString("# What --json prints\n\nAn object a command, with the fields below. Fields that are optional are left out where there is nothing to say. Identifiers are made of\n" +
		"names and of the kernel's numbers of namespaces; they stay the same while the things do. New fields may come; none changes its meaning.\n" +
		"What could not be read is in `problems`: with any, something may be missing.\n\n" +
		"This page is written by `go test ./pkg/operator/tool -run TestSchemaPage -update`, from the comments in the source.\n\n| command | prints |\n|---|---|\n")
	for _, a := range answers {
		fmt.Fprintf(s, "| `%s --json` | %s |\n", a.command, typeName(reflect.TypeOf(a.value)))
	}
	for _, a := range answers {
		s.describe(reflect.TypeOf(a.value))
	}
	if *update {
		if err := os.WriteFile(schemaPage, []byte(s.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(schemaPage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), s.String()); diff != "" {
		t.Errorf("docs/schema.md (-have +want; -update writes it):\n%s", diff)
	}
}

// schema is the page in the making.
type schema struct {
	strings.Builder
	words map[string]string // comments by package.Type and package.Type.Field
	seen  map[reflect.Type]bool
}

// readComments notes what the comments of a package say of its types and their fields.
func (s *schema) readComments(t *testing.T, dir string) {
	t.Helper()
	paths, err := filepath.Glob(dir + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		name := file.Name.Name
		ast.Inspect(file, func(n ast.Node) bool {
			decl, ok := n.(*ast.GenDecl)
			if ok && decl.Tok == token.CONST {
				s.readValues(name, decl)
			}
			if !ok || decl.Tok != token.TYPE || len(decl.Specs) != 1 {
				return true
			}
			spec := decl.Specs[0].(*ast.TypeSpec)
			full := name + "." + spec.Name.Name
			s.words[full] = oneLine(decl.Doc)
			if fields, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range fields.Fields.List {
					for _, id := range f.Names {
						s.words[full+"."+id.Name] = oneLine(f.Doc) + oneLine(f.Comment)
					}
				}
			}
			return true
		})
	}
}

// readValues notes which values a type of strings has, and what each means.
func (s *schema) readValues(name string, decl *ast.GenDecl) {
	for _, spec := range decl.Specs {
		v := spec.(*ast.ValueSpec)
		of, ok := v.Type.(*ast.Ident)
		if !ok || len(v.Values) != 1 {
			continue
		}
		if text, ok := v.Values[0].(*ast.BasicLit); ok && text.Kind == token.STRING && text.Value != `""` {
			meaning := oneLine(v.Comment)
			if meaning != "" {
				meaning = " (" + meaning + ")"
			}
			full := name + "." + of.Name + " values"
			s.words[full] = strings.TrimPrefix(s.words[full]+", "+strings.Trim(text.Value, `"`)+meaning, ", ")
		}
	}
}

func oneLine(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }

// describe writes a type's section, and those of the types in it, each once.
func (s *schema) describe(t reflect.Type) {
	if s.seen[t] {
		return
	}
	s.seen[t] = true
	fmt.Fprintf(s, "\n## %s\n\n%s\n\n| field | type | meaning |\n|---|---|---|\n", heading(t), strings.Replace(s.words[t.String()], t.Name()+" ", heading(t)+" ", 1))
	var inner []reflect.Type
	for i := range t.NumField() {
		f := t.Field(i)
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || tag == "-" {
			continue
		}
		kind, of := jsonType(f.Type)
		if strings.Contains(options, "omit") {
			kind += ", optional"
		}
		meaning := s.words[t.String()+"."+f.Name]
		if of != nil && meaning == "" {
			meaning = s.words[of.String()]
		}
		if of != nil && s.words[of.String()+" values"] != "" {
			meaning = strings.TrimSuffix(meaning, ".") + ": " + s.words[of.String()+" values"]
		}
		fmt.Fprintf(s, "| `%s` | %s | %s |\n", tag, kind, strings.ReplaceAll(meaning, "|", "\\|"))
		if of != nil && of.Kind() == reflect.Struct {
			inner = append(inner, of)
		}
	}
	for _, t := range inner {
		s.describe(t)
	}
}

// jsonType says how a type is printed, and which of our types is in it.
func jsonType(t reflect.Type) (text string, of reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer:
		return jsonType(t.Elem())
	case reflect.Slice:
		text, of = jsonType(t.Elem())
		return "list of " + text, of
	case reflect.Map:
		text, of = jsonType(t.Elem())
		return "object of " + text, of
	}
	ours := strings.Contains(t.PkgPath(), "trestle")
	switch {
	case t.Kind() == reflect.Struct && ours:
		return typeName(t), t
	case t.Kind() == reflect.String && ours:
		return "string", t
	case t.Kind() == reflect.Struct: // times, addresses
		return "string (" + t.Name() + ")", nil
	case t.Kind() == reflect.String:
		return "string", nil
	case t.Kind() == reflect.Bool:
		return "boolean", nil
	}
	return "number", nil
}

func heading(t reflect.Type) string { return strings.ToUpper(t.Name()[:1]) + t.Name()[1:] }

func typeName(t reflect.Type) string {
	return fmt.Sprintf("[%s](#%s)", heading(t), strings.ToLower(t.Name()))
}
