package logbook

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/trestle-cni/trestle/pkg/journal"
	"github.com/trestle-cni/trestle/test/slack"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// add appends to the file, and makes it.
func add(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

// TestFollow does to a log that is followed what others do to logs: each line is shown once, and those that come after are.
func TestFollow(t *testing.T) {
	for name, does := range map[string]func(path string) error{
		"it grows":                  func(path string) error { return add(path, line(3)) },
		"it becomes the one before": func(path string) error { return errors.Join(os.Rename(path, path+".1"), add(path, line(3))) },
		"two take its place, one after the other": func(path string) error {
			return errors.Join(os.Rename(path, path+".1"), add(path+".new", line(4)), add(path, line(3)), os.Rename(path, path+".1"), os.Rename(path+".new", path))
		},
		"it is put aside": func(path string) error {
			return errors.Join(os.Rename(path, path+".old"), add(path, line(3)[:20]), add(path, line(3)[20:]))
		},
		"it is cut": func(path string) error { return errors.Join(os.Truncate(path, 0), add(path, line(3))) },
		"it is copied and cut": func(path string) error {
			text, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path+".2", text, 0o600), os.Truncate(path, 0), add(path, line(3)))
		},
		"it is cut in part": func(path string) error {
			return errors.Join(os.Truncate(path, 10), os.Truncate(path, 0), add(path, line(3)))
		},
		"it is removed":          func(path string) error { return errors.Join(os.Remove(path), add(path, line(3))) },
		"another takes its name": func(path string) error { return errors.Join(add(path+".new", line(3)), os.Rename(path+".new", path)) },
		"it comes in two parts": func(path string) error {
			return errors.Join(add(path, line(3)[:20]), add(filepath.Join(filepath.Dir(path), "other"), "x"), add(path, line(3)[20:]))
		},
		"it is torn":             func(path string) error { return add(path, line(9)[:30]+line(3)) },
		"a hole":                 func(path string) error { return errors.Join(os.Truncate(path, 5<<20), add(path, "\n"+line(3))) },
		"a line without an end":  func(path string) error { return add(path, strings.Repeat("x", 5<<20)+"\n"+line(3)) },
		"somebody else's record": func(path string) error { return add(path, `{"time":"2026-11-27T08:00:00Z","ms":-5}`+"\n"+line(3)) },
	} {
		path := filepath.Join(t.TempDir(), "log")
		must(t, os.WriteFile(path+".1", []byte(line(0)), 0o600))
		must(t, os.WriteFile(path, []byte(line(1)+line(2)), 0o600))
		ctx, stop := context.WithTimeout(t.Context(), slack.Of(10*time.Second))
		var had []string
		err := Follow(ctx, journal.Log{To: "file", File: path}, Query{}, func(e journal.Entry) bool {
			if had = append(had, e.Container); e.Container == "c2" {
				go func() {
					if err := does(path); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}()
			}
			return e.Container != "c3"
		})
		if err != nil || strings.Join(had, " ") != "c0 c1 c2 c3" {
			t.Errorf("%s: %v, %q", name, err, had)
		}
		stop()
	}
}

// TestLinked reads and follows a log by a symbolic link: lines that come where it leads are shown, and those of the one before there.
func TestLinked(t *testing.T) {
	for name, link := range map[string]func(path, link string) error{
		"to the file": func(path, link string) error { return os.Symlink(path, link) },
		"by its name": func(path, link string) error {
			return errors.Join(os.Symlink(filepath.Base(filepath.Dir(path)), filepath.Dir(link)+"/dir"), os.Symlink("dir/log", link))
		},
		"by two": func(path, link string) error {
			return errors.Join(os.Symlink(path, link+".2"), os.Symlink(link+".2", link))
		},
	} {
		dir := t.TempDir()
		path, named := filepath.Join(dir, "real", "log"), filepath.Join(dir, "log")
		must(t, os.Mkdir(filepath.Dir(path), 0o700))
		must(t, os.WriteFile(path+".1", []byte(line(1)), 0o600))
		must(t, os.WriteFile(path, []byte(line(2)), 0o600))
		must(t, link(path, named))
		var read, had []string
		must(t, Read(journal.Log{To: "file", File: named}, Query{}, func(e journal.Entry) bool { read = append(read, e.Container); return true }))
		ctx, stop := context.WithTimeout(t.Context(), slack.Of(10*time.Second))
		err := Follow(ctx, journal.Log{To: "file", File: named}, Query{}, func(e journal.Entry) bool {
			if had = append(had, e.Container); e.Container == "c2" {
				go func() { _ = add(path, line(3)) }()
			}
			return e.Container != "c3"
		})
		if err != nil || strings.Join(read, " ") != "c1 c2" || strings.Join(had, " ") != "c1 c2 c3" {
			t.Errorf("%s: read %q, followed %q, %v", name, read, had, err)
		}
		stop()
	}
}

// TestLong reads a line of a hundred megabytes by a few of memory.
func TestLong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	must(t, os.WriteFile(path, []byte(line(1)), 0o600))
	must(t, os.Truncate(path, 100<<20))
	must(t, add(path, "\n"+line(2)))
	for how, read := range map[string]func(journal.Log, func(journal.Entry) bool) error{
		"read":   func(l journal.Log, each func(journal.Entry) bool) error { return Read(l, Query{}, each) },
		"follow": func(l journal.Log, each func(journal.Entry) bool) error { return Follow(t.Context(), l, Query{}, each) },
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := read(journal.Log{To: "file", File: path}, func(e journal.Entry) bool { return e.Container != "c2" })
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; err != nil || took > 16<<20 {
			t.Errorf("%s: %v, %d bytes of memory", how, err, took)
		}
	}
}

// TestStrangers has lines that no call has left: none is an entry.
func TestStrangers(t *testing.T) {
	for _, text := range []string{
		`{"time":"0001-01-01T00:00:00Z"}`, `{"time":"1969-12-31T23:59:59Z"}`, `{"time":"9999-12-31T23:59:59Z"}`, `{"time":"10000-01-01T00:00:00Z"}`, `{"time":1}`,
		`{"time":"2026-11-27T08:00:00Z","ms":-1}`, `{"time":"2026-11-27T08:00:00Z","ms":1e300}`, `{"time":"2026-11-27T08:00:00Z","ms":1e400}`,
		`{"time":"2026-11-27T08:00:00Z","code":-1}`, `{"time":"2026-11-27T08:00:00Z","code":1.5}`, `{"time":"2026-11-27T08:00:00Z","verb":["ADD"]}`,
		`{"time":"2026-11-27T08:00:00Z","phases":[{"what":"x","ms":1e300}]}`, `{"time":"2026-11-27T08:00:00Z","phases":[{"what":"x","ms":-1}]}`,
		`{"time":"2026-11-27T08:00:00Z","trace":{}}`, `{"time":"2026-11-27T08:00:00Z","trace":{"id":"x","parent":"y","span":"z"}}`, `null`, `"time"`, `[`, "\x00",
	} {
		if e, ok := parse([]byte(text)); ok {
			t.Errorf("%s: %+v", text, e)
		}
	}
}
