package tool

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/operator/observe"
)

// staleNames are files in the directories of named namespaces that are none. Where nobody tells these mounts of new ones, as in a container that has the host's /run since before, a file may
// be a namespace to everybody else; and whoever removed it would take that away from them.
func staleNames() (list []string) {
	for _, dir := range observe.Directories() {
		if real, err := filepath.EvalSymlinks(dir); err != nil || real != dir || !toldOfMounts(dir) {
			continue
		}
		files, _ := os.ReadDir(dir)
		for _, file := range files {
			var fs unix.Statfs_t
			path := filepath.Join(dir, file.Name())
			if unix.Statfs(path, &fs) == nil && fs.Type != unix.NSFS_MAGIC && file.Type().IsRegular() {
				list = append(list, path)
			}
		}
	}
	return list
}

// toldOfMounts says whether what others mount in the directory is mounted here, too (mount_namespaces(7), shared subtrees; proc_pid_mountinfo(5)).
func toldOfMounts(dir string) bool {
	var there unix.Statx_t
	text, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil || unix.Statx(unix.AT_FDCWD, dir, 0, unix.STATX_MNT_ID, &there) != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if fields[0] != strconv.FormatUint(there.Mnt_id, 10) {
			continue
		}
		return slices.ContainsFunc(fields[6:slices.Index(fields, "-")], func(tag string) bool {
			return strings.HasPrefix(tag, "shared:") || strings.HasPrefix(tag, "master:")
		})
	}
	return false
}
