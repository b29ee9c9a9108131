// Package built gives tests the programs that they run. They are compiled, unless the test is where there is no compiler: then they were compiled
// before, and Outside says where they are.
package built

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// Outside names, in the environment, the folder of programs that were built outside: a file for a package that is one, a folder for "cmd/...".
const Outside = "TRESTLE_BUILT"

// Into puts the programs of the packages into the folder. They are linked without tables for debuggers, as in `make build`: those are four tenths of the work.
func Into(folder string, packages ...string) error {
	if from := os.Getenv(Outside); from != "" {
		return link(from, folder, packages)
	}
	cmd := exec.Command("go", append([]string{"build", "-trimpath", "-ldflags=-s -w", "-o", folder + "/"}, packages...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %v: %w\n%s", packages, err, out)
	}
	return nil
}

// Bundle puts the binary that is all plugins into the folder, for a test of another module, somewhere below the product's.
func Bundle(folder string) (path string, err error) {
	top, err := product()
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "-C", top, "build", "-trimpath", "-o", folder+"/", "./cmd/trestle")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return filepath.Join(folder, "trestle"), nil
}

// product is the product's folder, which the working directory is in.
func product() (top string, err error) {
	top, err = os.Getwd()
	for ; err == nil && top != "/"; top = filepath.Dir(top) {
		if _, err := os.Stat(filepath.Join(top, "cmd/trestle")); err == nil {
			break
		}
	}
	return top, err
}

// Run runs a package's tests with a folder that prepare fills for them, and that is gone afterwards. It returns the exit status.
func Run(m interface{ Run() int }, name string, prepare func(folder string) error) int {
	folder, err := os.MkdirTemp("", "trestle-"+name+"-")
	if err == nil {
		defer os.RemoveAll(folder)
		err = prepare(folder)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		return 1
	}
	return m.Run()
}

func link(from, folder string, packages []string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, name := range packages {
		parent, all := strings.CutSuffix(name, "/...")
		pattern := filepath.Join(from, path.Base(parent))
		if all {
			pattern += "/*"
		}
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			return fmt.Errorf("%s: %s was not built there: %w", from, name, err)
		}
		for _, file := range files {
			if err := os.Symlink(file, filepath.Join(folder, filepath.Base(file))); err != nil {
				return err
			}
		}
	}
	return nil
}
