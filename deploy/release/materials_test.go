package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// What is on the bill is what is in the binaries of all architectures, as Go wrote it there, and the licences go with each.
func TestBillOfMaterials(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(made.dir, "trestle-"+made.version+".cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var b bill
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	for arch := range arches() {
		for _, name := range []string{bundleName, nodeName} {
			b.has(t, archive(name, arch), name)
		}
	}
	if !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(b.Serial) {
		t.Errorf("serial number %s", b.Serial)
	}
}

// has holds what a binary of an archive has in it to the bill.
func (b bill) has(t *testing.T, file, name string) {
	t.Helper()
	dir := t.TempDir()
	must(t, dir, "tar", "xzf", file)
	info, err := buildinfo.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	licences, err := os.ReadFile(filepath.Join(dir, "LICENCES.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if len(info.Deps) < 5 || len(b.Components) < len(info.Deps)+1 {
		t.Errorf("%s: %d modules in it, and %d components on the bill", file, len(info.Deps), len(b.Components))
	}
	for _, m := range append(info.Deps, &debug.Module{Path: "std", Version: strings.TrimPrefix(info.GoVersion, "go")}) {
		at := slices.IndexFunc(b.Components, func(c component) bool { return c.Name == m.Path && c.Version == m.Version })
		if m.Path != module && (at < 0 || b.Components[at].Licences[0].Licence.ID == "" || !bytes.Contains(licences, []byte("\n"+m.Path+" "+m.Version+" ("))) {
			t.Errorf("%s: %s %s: is in the binary, and not on the bill or without a licence", file, m.Path, m.Version)
		}
	}
}
