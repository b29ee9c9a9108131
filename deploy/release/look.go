package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	// A package's version has no hyphen but that before its own part, so what comes before a release is told by dots.
	versions = regexp.MustCompile(`^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z]+(\.[0-9A-Za-z]+)*)?$`)
	entries  = regexp.MustCompile(`(?m)^## (v\S+)`)
	// named finds the version in the name of a release's file, of its image in whatever registry, and in the chart.
	named = regexp.MustCompile(`(?m)(?:(?:trestle|cni-plugins)[a-z0-9-]*[-_]v?(\d[0-9A-Za-z.~-]*?)(?:-1[._]\w+\.(?:deb|rpm)|\.tgz|\.tar)\b|` +
		`/` + bundleName + `:([0-9A-Za-z.-]+)|^(?:appVersion|version): (\S+))`)
)

// told are the pages and manifests that name the version.
var told = []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/*.md", "deploy/README.md", "deploy/kubernetes/*/*.yaml", "deploy/kubernetes/chart/templates/*"}

// look reads what is to be released, and refuses what could not be made again: a tree that is no commit, a version without its entry in CHANGELOG.md.
func (r *release) look() error {
	if !versions.MatchString(r.Version) {
		return fmt.Errorf("version: %q: expected one like v0.1.0 or v0.2.0-rc.1", r.Version)
	}
	log, err := os.ReadFile(filepath.Join(r.Root, "CHANGELOG.md"))
	if err != nil {
		return err
	}
	if top := entries.FindSubmatch(log); top == nil || string(top[1]) != r.Version {
		return fmt.Errorf("CHANGELOG.md: its top entry is not %s: write there what is new for who uses it", r.Version)
	}
	if err := r.names(); err != nil {
		return err
	}
	changed, err := r.output("git", "status", "--porcelain", "--untracked-files=all")
	if err != nil {
		return err
	}
	if changed != "" {
		return fmt.Errorf("tree: is not what was committed:\n%s", changed)
	}
	if r.Key != "" { // before the work, not after it
		if _, err := secretKey(r.Key); err != nil {
			return err
		}
	}
	if err := r.stamp(); err != nil {
		return err
	}
	if r.Out == "" {
		r.Out = filepath.Join(r.Root, "dist", r.Version)
	}
	if err := os.RemoveAll(r.Out); err != nil {
		return err
	}
	return os.MkdirAll(r.Out, 0o755)
}

// names holds what is told to a user to this version: files that the release has, the image that a cluster pulls.
func (r *release) names() error {
	packed := strings.ReplaceAll(r.Version[1:], "-", "~")
	for _, pattern := range told {
		files, err := filepath.Glob(filepath.Join(r.Root, pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			for _, found := range named.FindAllSubmatch(text, -1) {
				switch version := string(bytes.Join(found[1:], nil)); version {
				case r.Version, r.Version[1:], packed:
				default:
					return fmt.Errorf("%s: %s: is of %s, and this is %s", file, found[0], version, r.Version)
				}
			}
		}
	}
	return nil
}

// stamp reads the commit and its time. Twelve digits, because how many git takes to be enough depends on what else is in a clone.
func (r *release) stamp() error {
	said, err := r.output("git", "-c", "log.showSignature=false", "log", "-1", "--abbrev=12", "--format=%h %ct")
	if err != nil {
		return err
	}
	commit, seconds, _ := strings.Cut(said, " ")
	since, err := strconv.ParseInt(seconds, 10, 64)
	r.commit, r.date = commit, time.Unix(since, 0).UTC()
	return err
}

// clone writes what was committed into a folder, byte by byte, whatever line ends a releaser's git prefers.
func (r *release) clone(dir string) error {
	_, err := r.with([]string{"GIT_ATTR_NOSYSTEM=1"}, "git", "-c", "core.autocrlf=false", "-c", "core.eol=lf", "-c", "core.attributesFile=/dev/null", "clone", "--quiet", ".", dir)
	return err
}

// output runs a command in the tree and returns what it printed.
func (r *release) output(command string, args ...string) (string, error) {
	return r.with(nil, command, args...)
}

// plain is what a releaser's environment may prefer otherwise, and what would get into a file: how the compiler is told of machines and of ways, words, hours.
var plain = []string{
	"CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=", "GOFIPS140=off", "LC_ALL=C", "TZ=UTC",
	"GOAMD64=v1", "GOARM64=v8.0", "GOPPC64=power8", "GORISCV64=rva20u64", "GOMIPS64=hardfloat",
}

// with is output, with additions to the environment.
func (r *release) with(env []string, command string, args ...string) (string, error) {
	cmd := exec.Command(command, args...)
	cmd.Dir, cmd.Env = r.Root, append(append(os.Environ(), plain...), env...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", command, strings.Join(args, " "), err, said.String())
	}
	return strings.TrimSpace(string(out)), nil
}
