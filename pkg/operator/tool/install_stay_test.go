package tool

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/test/slack"
)

// What others remove or replace, in each of the ways in which files change, is put back while the installer stays; it ends when it is asked to.
func TestStays(t *testing.T) {
	i := Installation{Dir: t.TempDir(), Names: names, Replace: true}
	ctx, end := context.WithTimeout(t.Context(), slack.Of(30*time.Second))
	defer end()
	put, done := make(chan installAnswer), make(chan error, 1)
	go func() { done <- i.stay(ctx, func(did installAnswer) error { put <- did; return nil }) }()
	next := func(what string) {
		t.Helper()
		select {
		case did := <-put:
			if !slices.Equal(did.Installed, names) {
				t.Errorf("%s: put back %v", what, did.Installed)
			}
		case err := <-done:
			t.Fatalf("%s: the installer ended: %v", what, err)
		}
		for _, name := range names {
			if got := run(t, i.Dir, name); got != name {
				t.Errorf("%s: %s was called as %q", what, name, got)
			}
		}
	}
	next("at the beginning")
	for what, change := range map[string]func(path string) error{
		"removed":  os.Remove,
		"moved":    func(path string) error { return os.Rename(path, filepath.Join(i.Dir, "elsewhere")) },
		"replaced": func(path string) error { return os.Rename(foreignFile(t, i.Dir), path) },
		"linked": func(path string) error {
			return errors.Join(os.Symlink("nothing", path+"-link"), os.Rename(path+"-link", path))
		},
	} {
		if err := change(filepath.Join(i.Dir, "bridge")); err != nil {
			t.Fatal(err)
		}
		next(what)
	}
	end()
	if err := <-done; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// foreignFile makes a plugin of somebody else's beside the others.
func foreignFile(t *testing.T, dir string) string {
	write(t, "theirs", dir, "next-to-bridge")
	return filepath.Join(dir, "next-to-bridge")
}
