package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

const (
	crioDir    = "/run/crio"
	crioSocket = crioDir + "/crio.sock"

	crioConfig = `[crio]
root = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
storage_driver = "overlay"
log_dir = "/run/crio/log"
version_file = "/run/crio/version"
version_file_persist = "/var/lib/crio/version"
clean_shutdown_file = "/var/lib/crio/clean.shutdown"
internal_wipe = false
[crio.api]
listen = "` + crioSocket + `"
stream_port = "0"
[crio.runtime]
default_runtime = "runc"
cgroup_manager = "cgroupfs"
conmon_cgroup = "pod"
pinns_path = "%s"
namespaces_dir = "/run/crio/ns"
container_exits_dir = "/run/crio/exits"
container_attach_socket_dir = "/run/crio/attach"
hooks_dir = []
[crio.runtime.runtimes.runc]
runtime_path = "` + crioDir + `/runc"
runtime_root = "/run/crio/runc-root"
monitor_path = "/usr/bin/conmon"
monitor_cgroup = "pod"
[crio.image]
pause_image = "` + imageName + `"
pause_command = ""
signature_policy = "/etc/containers/policy.json"
[crio.network]
network_dir = "` + confDir + `"
plugin_dirs = ["` + binDir + `"]
`

	// A machine without CAP_SYS_RESOURCE cannot give the pause container its oom_score_adj, and CRI-O has no setting for it.
	crioRunc = `#!/bin/sh
for word; do
	[ "${before-}" != --bundle ] || sed -i 's/"oomScoreAdj": *-*[0-9]*/"oomScoreAdj":0/' "$word/config.json"
	before=$word
done
exec runc "$@"
`
)

// crio is CRI-O's daemon. It has its images from podman's storage, which is its own.
type crio struct {
	work, image string
	daemon      *exec.Cmd
}

func (c *crio) Start() error {
	config := filepath.Join(crioDir, "crio.conf")
	err := errors.Join(os.MkdirAll(crioDir, 0o755), write(config, fmt.Sprintf(crioConfig, filepath.Join(c.work, "pinns"))),
		os.WriteFile(filepath.Join(crioDir, "runc"), []byte(crioRunc), 0o755), configure(`"`+binDir+`"`))
	if err != nil {
		return err
	}
	if _, err := program("podman", "load", "-i", c.image); err != nil {
		return err
	}
	c.daemon = exec.Command(filepath.Join(c.work, "crio"), "--config", config, "--config-dir", "", "--log-level", "info")
	return serve(c.daemon, filepath.Join(crioDir, "log.txt"))
}

func (c *crio) Quit() error { return quit(c.daemon, syscall.SIGTERM) }
func (c *crio) Kill() error { return quit(c.daemon, syscall.SIGKILL) }
