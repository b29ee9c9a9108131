package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// needed are the packages that a target of the Makefile names, before anything else of it happens.
func needed(t *testing.T, target string) []string {
	t.Helper()
	text, err := os.ReadFile("../../Makefile")
	must(t, err)
	found := regexp.MustCompile(`(?m)^` + target + `:\n\t@test/need (.*)$`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("make %s: does not begin with test/need", target)
	}
	return strings.Fields(string(found[1]))
}

// databases are files of packages that programs of others read.
var databases = []string{"/etc/protocols", "/etc/services"}

// programs are those of the packages, and of the ones without which there is no Debian. A host of nstest has no record of its packages: they are asked
// for outside. The databases that they bring are among them.
func programs(t *testing.T, packages []string) []string {
	t.Helper()
	const told = "E2E_PROGRAMS"
	if os.Getenv(told) != "" {
		return strings.Fields(os.Getenv(told))
	}
	out, err := exec.Command("dpkg-query", "-W", "-f", "${Package} ${Essential} ${Priority}\n").Output()
	must(t, err)
	for line := range strings.Lines(string(out)) {
		if name, kind, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(kind, "yes") || strings.HasSuffix(kind, "required") {
			packages = append(packages, name)
		}
	}
	files, err := exec.Command("dpkg", append([]string{"-L"}, packages...)...).Output()
	must(t, err)
	var names []string
	for path := range strings.Lines(string(files)) {
		path = strings.TrimSpace(path)
		if dir, name := filepath.Split(path); strings.HasSuffix(dir, "bin/") {
			names = append(names, name)
		} else if slices.Contains(databases, path) {
			names = append(names, path)
		}
	}
	must(t, os.Setenv(told, strings.Join(names, " ")))
	return names
}

// bare leaves of the host's programs those of the names, and what is one of several, as awk is. It is for a host of nstest, and for good.
func bare(t *testing.T, names []string) {
	t.Helper()
	for _, file := range databases {
		if !slices.Contains(names, file) {
			must(t, unix.Mount("/dev/null", file, "", unix.MS_BIND, ""))
		}
	}
	must(t, unix.Mount("/usr", "/mnt", "", unix.MS_BIND|unix.MS_REC, ""))
	for _, dir := range []string{"bin", "sbin"} {
		must(t, unix.Mount("tmpfs", "/usr/"+dir, "tmpfs", 0, ""))
		entries, err := os.ReadDir("/mnt/" + dir)
		must(t, err)
		for _, e := range entries {
			file := "/mnt/" + dir + "/" + e.Name()
			at, _ := os.Readlink(file)
			switch {
			case strings.HasPrefix(at, "/etc/alternatives/"): // where its program is missing, it leads nowhere
				must(t, os.Symlink(at, "/usr/"+dir+"/"+e.Name()))
			case slices.Contains(names, e.Name()):
				must(t, os.Symlink(file, "/usr/"+dir+"/"+e.Name()))
			}
		}
	}
}
