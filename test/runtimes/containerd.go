package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	socket = "/run/containerd/containerd.sock"

	// A machine without CAP_SYS_RESOURCE cannot give the pause container its oom_score_adj.
	containerdConfig = `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "` + socket + `"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "` + imageName + `"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "` + binDir + `"
    conf_dir = "` + confDir + `"
`
)

// containerd is the daemon, and its client as an operator has it. CRI and ctr are two ways to ask it.
type containerd struct {
	bin    string // the directory of its programs, "" for PATH
	image  string // a file
	daemon *exec.Cmd
}

func (c *containerd) path(name string) string {
	if c.bin == "" {
		return name
	}
	return filepath.Join(c.bin, name)
}

func (c *containerd) Start() error {
	if err := os.MkdirAll("/run/containerd", 0o755); err != nil {
		return err
	}
	config := "/run/containerd/config.toml"
	if err := write(config, containerdConfig); err != nil {
		return err
	}
	c.daemon = exec.Command(c.path("containerd"), "--config", config)
	if c.bin != "" {
		c.daemon.Env = append(os.Environ(), "PATH="+c.bin+":"+os.Getenv("PATH")) // its shim
	}
	if err := serve(c.daemon, "/run/containerd/log"); err != nil {
		return err
	}
	return eventually(func() error {
		_, err := program(c.path("ctr"), "-a", socket, "-n", "k8s.io", "images", "import", "--no-unpack=false", c.image)
		return err
	})
}

func (c *containerd) Quit() error { return quit(c.daemon, syscall.SIGTERM) }
func (c *containerd) Kill() error { return quit(c.daemon, syscall.SIGKILL) }

// ctr is `ctr run --cni`, in the foreground, since containerd 1.6 forgets the network of a container that it was told to detach. It
// ends with its daemon, so nothing can be restarted.
type ctr struct{ containerd }

func (c *ctr) command(arguments ...string) *exec.Cmd {
	return exec.Command(c.path("ctr"), append([]string{"-a", socket, "-n", "k8s.io"}, arguments...)...)
}

func (c *ctr) Run(p *Pod) error {
	return p.background(c.command("run", "--rm", "--cni", "--cgroup", "/"+cgroup+"/"+p.Name, imageName, p.Name, "/app", "serve", p.Name))
}

func (c *ctr) Stop(p *Pod) error {
	out, err := c.command("task", "kill", "--signal", "SIGTERM", p.Name).CombinedOutput()
	if err != nil && !strings.Contains(string(out), "not found") {
		return fmt.Errorf("ctr task kill: %w: %s", err, out)
	}
	return p.ended()
}

func (c *ctr) Remove(p *Pod) error { return c.Stop(p) }
