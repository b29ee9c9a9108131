// Package gone is what a DEL leaves for who puts rules back: that it has begun. Where others swept the rules away a moment before, a DEL finds nothing to
// remove; who then puts back what was there would make rules of a container that is gone, and whoever gets its address would have them.
//
// It is a directory with an empty file an attachment, on a file system that a boot empties. There is one only while somebody watches (Begin); without it a DEL and an
// ADD pay for one look. Both hold their owner's lock, and so does who asks.
package gone

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/owner"
)

// folder is the name of the directory, beside the locks.
const folder = "gone"

// Keep is for how long it is kept that a DEL has begun: a runtime calls again for one that failed, and each call says it anew.
const Keep = time.Hour

func path(run string, id owner.ID) string {
	return filepath.Join(run, folder, hex.EncodeToString(id.Owner[:]))
}

// Begin has DELs say that they begin from now on.
func Begin(run string) error { return os.MkdirAll(filepath.Join(run, folder), 0o700) }

// End has them say nothing any more.
func End(run string) error { return os.RemoveAll(filepath.Join(run, folder)) }

// Watched says whether somebody watches.
func Watched(run string) bool { return unix.Access(filepath.Join(run, folder), unix.F_OK) == nil }

// Note says that a DEL of the attachment begins. Where nobody watches there is no directory, and nothing to be said.
func Note(run string, id owner.ID) error {
	fd, err := unix.Open(path(run, id), unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return &fs.PathError{Op: "note that a DEL begins", Path: path(run, id), Err: err}
	}
	unix.Close(fd)
	return nil
}

// Forget says that the attachment is made again.
func Forget(run string, id owner.ID) { _ = unix.Unlink(path(run, id)) }

// Is says whether a DEL of the attachment has begun since it was made.
func Is(run string, id owner.ID) bool { return unix.Access(path(run, id), unix.F_OK) == nil }

// Prune forgets those of longer ago than Keep.
func Prune(run string) {
	files, _ := os.ReadDir(filepath.Join(run, folder)) // none: nobody watches
	for _, file := range files {
		if info, err := file.Info(); err == nil && time.Since(info.ModTime()) > Keep {
			_ = os.Remove(filepath.Join(run, folder, file.Name()))
		}
	}
}
