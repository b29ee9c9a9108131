package floors

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Where a name that was made up stands, deploy/README.md says, all of it: who changes it finds each place. Programs that import it need no line, nor do pages
// of docs/, whose links follow.
func TestMadeUpNamesAreListed(t *testing.T) {
	table, err := os.ReadFile("../../deploy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"github.com/trestle-cni/trestle", "ghcr.io/trestle-cni/trestle"} {
		row := ""
		for line := range strings.Lines(string(table)) {
			if cells := strings.Split(line, "|"); len(cells) > 3 && strings.Contains(cells[2], "`"+name+"`") {
				row = cells[3]
			}
		}
		for _, path := range holders(t, name) {
			if !slices.ContainsFunc(strings.Split(row, "`"), func(place string) bool {
				return place != "" && (strings.HasPrefix(path, place) || strings.HasPrefix(path, "deploy/"+place))
			}) {
				t.Errorf("%s: has %s, and the table of deploy/README.md does not name it", path, name)
			}
		}
	}
}

// holders are the files, but programs that import it, that have the text.
func holders(t *testing.T, text string) (paths []string) {
	t.Helper()
	root := "../.."
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", ".tools", "bin", "dist", "man", "docs"}, name):
			return filepath.SkipDir
		case !entry.Type().IsRegular() || name == "go.mod" || strings.HasSuffix(name, "_test.go") || path == root+"/deploy/README.md":
			return nil
		case strings.HasSuffix(name, ".go") && text[:4] != "ghcr":
			return nil
		}
		data, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(data), text) {
			paths = append(paths, strings.TrimPrefix(path, root+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}
