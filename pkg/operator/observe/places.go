package observe

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Who is root in a user namespace alone (podman unshare, rootlesskit) has what of his is shown, and his runtimes keep their networks and the names of their namespaces below his own
// directories. What they remember of their calls is in the usual place there, which is one of his own in such a namespace's mounts.

// Configs is where runtimes look for the networks' configurations.
func Configs() string {
	if dir := filepath.Join(cmp.Or(os.Getenv("XDG_CONFIG_HOME"), filepath.Join(os.Getenv("HOME"), ".config")), "cni/net.d"); confined() && isDir(dir) {
		return dir
	}
	return "/etc/cni/net.d"
}

// Directories are where runtimes and ip-netns(8) bind namespaces to names.
func Directories() []string {
	dirs := []string{"/run/netns", "/var/run/netns", "/run/docker/netns"}
	if own := os.Getenv("XDG_RUNTIME_DIR"); own != "" && confined() { // to anybody else they are empty files
		dirs = append(dirs, filepath.Join(own, "netns"))
	}
	return dirs
}

// confined says whether this is root of a user namespace that has not every user (user_namespaces(7)).
func confined() bool {
	text, err := os.ReadFile("/proc/self/uid_map")
	return os.Geteuid() == 0 && err == nil && !slices.Equal(strings.Fields(string(text)), []string{"0", "0", "4294967295"})
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
