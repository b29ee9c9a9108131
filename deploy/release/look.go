package main

import (
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
	versions = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?$`)
	entries  = regexp.MustCompile(`(?m)^## (v\S+)`)
)

// look reads what is to be released, and refuses what could not be made again: a tree that is no commit, a version without its entry in CHANGELOG.md.
func (r *release) look() error {
	if !versions.MatchString(r.Version) {
		return fmt.Errorf("version: %q: expected one like v0.1.0", r.Version)
	}
	log, err := os.ReadFile(filepath.Join(r.Root, "CHANGELOG.md"))
	if err != nil {
		return err
	}
	if top := entries.FindSubmatch(log); top == nil || string(top[1]) != r.Version {
		return fmt.Errorf("CHANGELOG.md: its top entry is not %s: write there what is new for who uses it", r.Version)
	}
	changed, err := r.output("git", "status", "--porcelain")
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

// stamp reads the commit and its time. Twelve digits, because how many git takes to be enough depends on what else is in a clone.
func (r *release) stamp() error {
	said, err := r.output("git", "log", "-1", "--abbrev=12", "--format=%h %ct")
	if err != nil {
		return err
	}
	commit, seconds, _ := strings.Cut(said, " ")
	since, err := strconv.ParseInt(seconds, 10, 64)
	r.commit, r.date = commit, time.Unix(since, 0).UTC()
	return err
}

// output runs a command in the tree and returns what it printed.
func (r *release) output(command string, args ...string) (string, error) {
	return r.with(nil, command, args...)
}

// with is output, with additions to the environment.
func (r *release) with(env []string, command string, args ...string) (string, error) {
	cmd := exec.Command(command, args...)
	cmd.Dir, cmd.Env = r.Root, append(os.Environ(), env...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", command, strings.Join(args, " "), err, said.String())
	}
	return strings.TrimSpace(string(out)), nil
}
