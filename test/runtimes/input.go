package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const good = confDir + "/10-node.conflist"

// started wants a pod to start, as soon as the runtime has read what was mended.
func started(t *Trial) error {
	var p *Pod
	err := eventually(func() (err error) {
		if p, err = t.pod(t.port(18077)); err != nil {
			t.Remove(p)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("mended, but: %w", err)
	}
	return errors.Join(serving(p), t.gone(p))
}

// refuses wants pods not to start, as soon as the runtime has read what was broken, and its error to have the words.
func refuses(t *Trial, words ...string) error {
	return eventually(func() error { return errors.Join(t.refused(0, words...), t.clear()) })
}

// edited puts a changed copy of the good conflist in its place, as an editor does, sees to it, and puts the good one back.
func edited(change func(string) string, words ...string) func(*Trial) error {
	return func(t *Trial) error {
		content, err := os.ReadFile(good)
		if err != nil {
			return err
		}
		if change(string(content)) == string(content) {
			return errors.New("the change changes nothing")
		}
		if err := replaceFile(good, change(string(content))); err != nil {
			return err
		}
		refused := refuses(t, words...)
		return errors.Join(refused, replaceFile(good, string(content)), started(t))
	}
}

// replaceFile writes the content beside the file and renames it over.
func replaceFile(path, content string) error {
	next := filepath.Join(filepath.Dir(path), ".next")
	if err := write(next, content); err != nil {
		return err
	}
	return os.Rename(next, path)
}

func replacing(old, now string) func(string) string {
	return func(text string) string { return strings.ReplaceAll(text, old, now) }
}

// broken: a conflist that is no JSON stands behind the good one, and pods start.
func broken(t *Trial) error {
	bad := confDir + "/99-broken.conflist"
	if err := write(bad, `{"cniVersion": "1.0.0", "name": "broken", "plugins": [`); err != nil {
		return err
	}
	return errors.Join(started(t), os.Remove(bad), started(t))
}

// renamed: the conflist comes late, by a rename in its directory.
func renamed(t *Trial) error {
	away := filepath.Join(confDir, ".later")
	if err := os.Rename(good, away); err != nil {
		return err
	}
	refused := refuses(t)
	return errors.Join(refused, os.Rename(away, good), started(t))
}

// missing: a plugin is not in the directory. Where it is one of the later ones, libcni cannot delete what the earlier ones made, since it begins at
// the end and stops there; whoever does not delete again needs a GC.
func missing(plugin string) func(*Trial) error {
	return func(t *Trial) error {
		before, err := state()
		if err != nil {
			return err
		}
		file, away := filepath.Join(binDir, plugin), filepath.Join(topDir, plugin)
		if err := os.Rename(file, away); err != nil {
			return err
		}
		words := []string{plugin}
		if t.traits&Wary != 0 {
			words = nil // it watches the plugins, too, and forgets a network that lacks one
		}
		refused := t.refused(0, words...)
		return errors.Join(refused, os.Rename(away, file), started(t), t.clear(), t.collect(before))
	}
}

// readOnly: reservations cannot be written.
func readOnly(t *Trial) error {
	remount := func(flags uintptr) error { return unix.Mount("", "/var/lib/cni", "", unix.MS_REMOUNT|flags, "") }
	if err := remount(unix.MS_RDONLY); err != nil {
		return err
	}
	refused := refuses(t, "read-only file system", "/var/lib/cni/networks/node")
	// containerd adds loopback at the same time, and tells the first error: that may be libcni's, which cannot keep loopback's result there.
	if refused != nil && strings.Contains(refused.Error(), `"cni-loopback" cached result: open /var/lib/cni/results`) {
		refused = nil
	}
	return errors.Join(refused, remount(0), started(t))
}
