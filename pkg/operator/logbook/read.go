// Package logbook reads the journal that plugins write (package journal): what was done, to whom, when, and with what outcome.
package logbook

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/journal"
)

// Query is which entries are wanted; the zero Query wants all.
type Query struct {
	Words string    // a container's id or the beginning of it, a pod (NAMESPACE/NAME, or its name), a network, or an address that was given
	Since time.Time // that began then or later
}

// Wants says whether the entry is one of those.
func (q Query) Wants(e *journal.Entry) bool {
	if e.Time.Before(q.Since) {
		return false
	}
	_, name, _ := strings.Cut(e.Pod, "/")
	given := func(address string) bool { return address == q.Words || strings.HasPrefix(address, q.Words+"/") }
	return q.Words == "" || slices.ContainsFunc(e.Addresses, given) || strings.HasPrefix(e.Container, q.Words) || e.Pod == q.Words || e.Network == q.Words || name == q.Words && name != ""
}

// Read calls each with the entries wanted, the oldest first, until it says false. Errors: no journal is kept, or it cannot be read.
func Read(log journal.Log, q Query, each func(journal.Entry) bool) error {
	in, err := open(log)
	if err != nil {
		return err
	}
	defer in.Close()
	return scan(in, q, each)
}

// open is the whole journal as lines: the file before, then the file; or what journald has.
func open(log journal.Log) (io.ReadCloser, error) {
	switch log.To {
	case "file":
		return openFiles(behind(log.File))
	case "journald":
		return openJournal()
	}
	return nil, fault.New(fault.Config, `write {"log": {"to": "file"}} there`, "%s: no log is kept on this host", journal.Path)
}

func openFiles(path string) (io.ReadCloser, error) {
	var in files
	for _, name := range []string{path, path + ".1"} { // the newer first: what becomes the other meanwhile is read twice, and not lost
		file, err := openFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			in.Close()
			return nil, fault.New(fault.IO, "read it as root", "%w", err)
		}
		if len(in.open) > 0 && same(file, in.open[0]) {
			file.Close()
			continue
		}
		in.open = append(in.open, file)
	}
	slices.Reverse(in.open)
	var readers []io.Reader
	for _, file := range in.open {
		readers = append(readers, file)
	}
	in.Reader = io.MultiReader(readers...)
	return &in, nil
}

// behind is the file that a link leads to, beside which are the one before and those to come; the path itself where there is none. Plugins write through no link (doctor's
// log-lost says so), but others may.
func behind(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// openFile opens a file of the log as plugins do: nothing but a regular one is one, and a pipe would wait for its writer.
func openFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		file.Close()
		return nil, &fs.PathError{Op: "read", Path: path, Err: cmp.Or(err, errors.New("not a regular file"))}
	}
	return file, nil
}

// same says whether both are one file.
func same(a, b *os.File) bool {
	one, err1 := a.Stat()
	other, err2 := b.Stat()
	return err1 == nil && err2 == nil && os.SameFile(one, other)
}

// files are read one after the other.
type files struct {
	io.Reader
	open []*os.File
}

func (f *files) Close() (err error) {
	for _, file := range f.open {
		err = errors.Join(err, file.Close())
	}
	return err
}

// openJournal asks journalctl(1): its files are its own.
func openJournal() (io.ReadCloser, error) {
	out, err := exec.Command("journalctl", "--identifier=trestle", "--output=cat", "--no-pager", "--quiet").Output()
	if err != nil {
		return nil, fault.New(fault.IO, "see journalctl -t trestle", "the log is in systemd's journal: journalctl: %w", err)
	}
	return io.NopCloser(bytes.NewReader(out)), nil
}

func scan(in io.Reader, q Query, each func(journal.Entry) bool) error {
	l, wanted := linesOf(in), q.filter(each)
	on, err := l.each(wanted)
	if on {
		wanted(l.rest)
	}
	return err
}

// filter is each for lines: it passes over those that are none of ours, or not wanted.
func (q Query) filter(each func(journal.Entry) bool) func(line []byte) bool {
	return func(line []byte) bool {
		e, ok := parse(line)
		return !ok || !q.Wants(&e) || each(e)
	}
}
