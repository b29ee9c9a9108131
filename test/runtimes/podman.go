package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// podmanConfig is containers.conf, for podman and buildah. runc, because crun refuses a hierarchy of control groups of both versions.
const podmanConfig = `[containers]
default_ulimits = []
[network]
network_backend = "cni"
network_config_dir = "` + confDir + `"
cni_plugin_dirs = [%s]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`

const storageConfig = `[storage]
driver = "overlay"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
`

// configure writes what podman and buildah read.
func configure(dirs string) error {
	if err := write("/etc/containers/containers.conf", fmt.Sprintf(podmanConfig, dirs)); err != nil {
		return err
	}
	return write("/etc/containers/storage.conf", storageConfig)
}

// podman has no daemon.
type podman struct{ image string }

func (p *podman) Start() error {
	if err := configure(`"` + binDir + `"`); err != nil {
		return err
	}
	_, err := program("podman", "load", "-i", p.image)
	return err
}

func (p *podman) Quit() error { return nil }

func (p *podman) Run(pod *Pod) error { return start(p, pod, "node") }

func (p *podman) tool(arguments ...string) (string, error) { return program("podman", arguments...) }

func (p *podman) habits() (network, bridge string, isolated []string) {
	return "podman", "cni-podman0", []string{"--opt", "isolate=true"}
}

func (p *podman) more() [][]string {
	return [][]string{{"network reload"}, {"network disconnect lab99", "network connect --ip " + ownAddress + " --mac-address " + ownMAC + " lab99"}}
}

func (p *podman) Stop(pod *Pod) error {
	_, err := program("podman", "stop", "--time", "5", pod.Name)
	return err
}

func (p *podman) Remove(pod *Pod) error {
	_, err := program("podman", "rm", "--force", "--time", "5", pod.Name)
	return err
}

// buildah runs a step of a build in a container; the network is there while the step runs.
type buildah struct{ image string }

func (b *buildah) Start() error {
	if err := configure(`"` + binDir + `"`); err != nil {
		return err
	}
	_, err := program("buildah", "pull", "oci-archive:"+b.image)
	return err
}

func (b *buildah) Quit() error { return nil }

func (b *buildah) Run(p *Pod) error {
	if _, err := program("buildah", "from", "--pull-never", "--cgroup-parent", "/"+cgroup+"/"+p.Name, "--isolation", "oci", "--name", p.Name, imageName); err != nil {
		return err
	}
	return p.background(exec.Command("buildah", "run", "--isolation", "oci", "--network", "node", p.Name, "--", "/app", "serve", p.Name))
}

func (b *buildah) Stop(p *Pod) error {
	for _, pid := range processes("/app", "serve", p.Name) {
		var id int
		if _, err := fmt.Sscan(pid, &id); err != nil {
			return err
		}
		if process, err := os.FindProcess(id); err == nil {
			process.Signal(syscall.SIGTERM)
		}
	}
	return p.ended()
}

func (b *buildah) Remove(p *Pod) error {
	if err := b.Stop(p); err != nil {
		return err
	}
	_, err := program("buildah", "rm", p.Name)
	return err
}
