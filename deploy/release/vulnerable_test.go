package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What is known against a library that a binary calls fails make lint, be it the agent's alone; a database that cannot be reached does not, and is told.
func TestVulnerable(t *testing.T) {
	for library, want := range map[string]string{
		"github.com/vishvananda/netlink": "GO-2026-9999",
		"go.etcd.io/etcd/client/v3":      "GO-2026-9999",
		"github.com/nobody/nothing":      "nothing is known against what the binaries call\n",
		"":                               "NOT checked: ",
	} {
		db := filepath.Join(t.TempDir(), "db")
		if library != "" {
			knows(t, db, library)
		}
		out, err := exec.Command("../vulnerable", "-db=file://"+db).CombinedOutput()
		if fails := want == "GO-2026-9999"; (err != nil) != fails || !strings.Contains(string(out), want) {
			t.Errorf("%q: %v, want %q:\n%s", library, err, want, out)
		}
	}
}

// knows makes a database that has one thing, against all versions of a library.
func knows(t *testing.T, dir, library string) {
	t.Helper()
	entry := fmt.Sprintf(`{"schema_version": "1.3.1", "id": "GO-2026-9999", "modified": "2026-01-01T00:00:00Z", "published": "2026-01-01T00:00:00Z", "details": "planted",
		"affected": [{"package": {"name": %q, "ecosystem": "Go"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}], "ecosystem_specific": {"imports": [{"path": %[1]q}]}}],
		"database_specific": {"url": "https://pkg.go.dev/vuln/GO-2026-9999"}}`, library)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "GO-2026-9999.json"), []byte(entry), 0o644); err != nil {
		t.Fatal(err)
	}
}
