package tool

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const ourModule = "github.com/trestle-cni/trestle"

// compile builds the package in a directory and returns the binary.
func compile(t *testing.T, dir string, env ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "binary")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", file, ".")
	cmd.Dir, cmd.Env = dir, append(append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS="), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return file
}

// program writes a main package of a module.
func program(t *testing.T, module, source string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	write(t, "module "+module+"\n\ngo 1.25\n", dir, "go.mod")
	write(t, source, dir, "main.go")
	return dir
}

func expectModule(t *testing.T, path, want string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got := mainModule(file); got != want {
		t.Errorf("module %q, want %q", got, want)
	}
}

func TestMainModule(t *testing.T) {
	const nothing = "package main\n\nfunc main() {}\n"
	single := compile(t, "../../../cmd/static")
	t.Run("ours", func(t *testing.T) { expectModule(t, single, ourModule) })
	t.Run("bundle", func(t *testing.T) { expectModule(t, compile(t, "../../../cmd/trestle"), ourModule) })
	for _, arch := range []string{"arm", "s390x"} { // of 32 bits, and big endian
		t.Run(arch, func(t *testing.T) {
			if testing.Short() {
				t.Skip("compiles Go's runtime for another architecture")
			}
			expectModule(t, compile(t, program(t, ourModule, nothing), "GOARCH="+arch), ourModule)
		})
	}
	t.Run("foreign", func(t *testing.T) {
		expectModule(t, compile(t, program(t, "example.org/other", nothing)), "example.org/other")
	})
	t.Run("foreign that embeds ours", func(t *testing.T) {
		dir := program(t, "example.org/other", "package main\n\nimport _ \"embed\"\n\n//go:embed plugin\nvar plugin []byte\n\nfunc main() { println(len(plugin)) }\n")
		write(t, read(t, single), dir, "plugin")
		expectModule(t, compile(t, dir), "example.org/other")
	})
}

func TestMainModuleOfOtherFiles(t *testing.T) {
	whole := read(t, compile(t, "../../../cmd/static"))
	texts := map[string]string{
		"empty": "", "script": "#!/bin/sh\n" + strings.Repeat("true\n", 100), "magic only": infoMagic,
		"header only": whole[:64], "less than a header": whole[:20], "half": whole[:len(whole)/2],
		"nonsense after the magic of ELF": whole[:16] + strings.Repeat("\xff", 4096),
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			write(t, text, path)
			expectModule(t, path, "")
		})
	}
}
