package logbook

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/journal"
)

func line(n int) string {
	return fmt.Sprintf(`{"time":"2026-11-27T08:00:00Z","network":"net","container":"c%d","verb":"ADD"}`+"\n", n)
}

// TestSpoilt reads what is around what is no line of ours: one without an end that is longer than any, a hole of zeros, one that a full disk tore.
func TestSpoilt(t *testing.T) {
	for name, spoilt := range map[string]string{
		"nothing": "", "long": strings.Repeat("x", 3*longest) + "\n", "just too long": strings.Repeat("x", longest) + "\n", "zeros": strings.Repeat("\x00", 2*longest) + "\n",
		"torn": `{"time":"2026-11-27T08:00`, "empty": "\n\n", "a list": "[]\n", "no time": "{}\n", "another type": `{"time":5}` + "\n",
	} {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, []byte(line(1)+spoilt+line(2)), 0o600); err != nil {
			t.Fatal(err)
		}
		for how, read := range map[string]func(journal.Log, func(journal.Entry) bool) error{
			"read":   func(l journal.Log, each func(journal.Entry) bool) error { return Read(l, Query{}, each) },
			"follow": func(l journal.Log, each func(journal.Entry) bool) error { return Follow(t.Context(), l, Query{}, each) },
		} {
			var had []string
			err := read(journal.Log{To: "file", File: path}, func(e journal.Entry) bool {
				had = append(had, e.Container)
				return e.Container != "c2"
			})
			if err != nil || strings.Join(had, " ") != "c1 c2" {
				t.Errorf("%s, %s: %v, %v", name, how, had, err)
			}
		}
	}
}

// TestNoFile finds under the log's name what is no file: it says so, and waits for nobody.
func TestNoFile(t *testing.T) {
	for name, plant := range map[string]func(path string) error{
		"pipe":   func(path string) error { return unix.Mkfifo(path, 0o600) },
		"folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"device": func(path string) error { return os.Symlink("/dev/zero", path) },
	} {
		for _, suffix := range []string{"", ".1"} {
			path := filepath.Join(t.TempDir(), "log")
			if err := plant(path + suffix); err != nil {
				t.Fatal(err)
			}
			log := journal.Log{To: "file", File: path}
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			for how, err := range map[string]error{"read": Read(log, Query{}, nil), "follow": Follow(ctx, log, Query{}, nil)} {
				if err == nil || !strings.Contains(err.Error(), "not a regular file") {
					t.Errorf("%s%s, %s: %v", name, suffix, how, err)
				}
			}
			stop()
		}
	}
}
