package floors

import (
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// stores are the clients of what hosts share, and what they bring.
var stores = []string{"go.etcd.io/", "k8s.io/", "sigs.k8s.io/", "google.golang.org/grpc", "google.golang.org/protobuf", "go.uber.org/zap"}

// An ADD asks no store, and a plugin that cannot ask none never will: no package of the product's module knows a client, and cmd/trestle-node, which does,
// is a module of its own that `go build ./...` does not see.
func TestNothingLinksAStore(t *testing.T) {
	for _, p := range list(t) {
		if strings.HasPrefix(room(p.ImportPath), node) {
			t.Errorf("%s is part of the product's module", p.ImportPath)
		}
		for _, dep := range p.Deps {
			if slices.ContainsFunc(stores, func(s string) bool { return strings.HasPrefix(dep, s) }) && !forTests(room(p.ImportPath)) {
				t.Errorf("%s links %s", p.ImportPath, dep)
			}
		}
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile("../../" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, module := range []string{"go.etcd.io/etcd", "k8s.io/client-go"} {
			if strings.Contains(string(text), module) {
				t.Errorf("%s: has %s", file, module)
			}
		}
	}
}

const node = "cmd/trestle-node"

// nodeFloors are the rooms of trestle-node from the ground up; the last is the program.
var nodeFloors = []string{"pool", "protocol", "ledger", "etcd", "life", "kube", "network", "agent", "reach", "."}

// pure rooms are arithmetic and a protocol: the standard library is enough for them, and of it nothing that waits or writes.
var pure = []string{"pool", "protocol"}

// The rooms of trestle-node stand as the product's do. Their files are read, not built: nobody who tests the product waits for a store's client.
func TestNodeImportsPointDown(t *testing.T) {
	files, err := filepath.Glob("../../" + node + "/*/*.go")
	program, _ := filepath.Glob("../../" + node + "/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range append(files, program...) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		here, _ := filepath.Rel("../../"+node, filepath.Dir(name))
		if here = strings.Split(filepath.ToSlash(here), "/")[0]; !slices.Contains(nodeFloors, here) {
			t.Errorf("%s has no floor: give it one", name)
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			importPath, _ := strconv.Unquote(spec.Path.Value)
			holdNodeImport(t, here, importPath)
		}
	}
}

func holdNodeImport(t *testing.T, here, importPath string) {
	t.Helper()
	to, ours := strings.CutPrefix(importPath, module+node+"/")
	switch {
	case ours && slices.Index(nodeFloors, path.Clean(to)) >= slices.Index(nodeFloors, here):
		t.Errorf("%s/%s imports %s", node, here, to)
	case slices.Contains(pure, here) && !ours && (strings.Contains(importPath, ".") || slices.Contains([]string{"os", "time", "net", "context", "sync"}, importPath)):
		t.Errorf("%s/%s imports %s: it is pure", node, here, importPath)
	case forTests(strings.TrimPrefix(importPath, module)):
		t.Errorf("%s/%s imports %s, which is for tests", node, here, importPath)
	}
}
