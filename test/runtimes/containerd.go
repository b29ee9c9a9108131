package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
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
	log, err := os.OpenFile("/run/containerd/log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	c.daemon = exec.Command(c.path("containerd"), "--config", config)
	c.daemon.Stdout, c.daemon.Stderr = log, log
	if c.bin != "" {
		c.daemon.Env = append(os.Environ(), "PATH="+c.bin+":"+os.Getenv("PATH")) // its shim
	}
	if err := c.daemon.Start(); err != nil {
		return err
	}
	return eventually(func() error {
		_, err := program(c.path("ctr"), "-a", socket, "-n", "k8s.io", "images", "import", "--no-unpack=false", c.image)
		return err
	})
}

func (c *containerd) Quit() error {
	if err := c.daemon.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	c.daemon.Wait() // its status says that it was told to end
	return nil
}

// node is containerd as Kubernetes' node agent uses it, through the container runtime interface.
type node struct {
	containerd
	connection *grpc.ClientConn
	runtime    cri.RuntimeServiceClient
}

func (n *node) Start() error {
	if err := n.containerd.Start(); err != nil {
		return err
	}
	connection, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	n.connection, n.runtime = connection, cri.NewRuntimeServiceClient(connection)
	return eventually(func() error {
		_, err := n.runtime.Version(context.Background(), &cri.VersionRequest{})
		return err
	})
}

func (n *node) Quit() error {
	return errors.Join(n.connection.Close(), n.containerd.Quit())
}

func sandbox(p *Pod) *cri.PodSandboxConfig {
	config := &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: p.Name, Uid: "uid-" + p.Name, Namespace: "default"},
		Linux:    &cri.LinuxPodSandboxConfig{CgroupParent: "/" + cgroup},
	}
	if p.Host != 0 {
		for _, protocol := range []cri.Protocol{cri.Protocol_TCP, cri.Protocol_UDP} {
			config.PortMappings = append(config.PortMappings, &cri.PortMapping{
				Protocol: protocol, ContainerPort: 8080, HostPort: int32(p.Host),
			})
		}
	}
	return config
}

func (n *node) Run(p *Pod) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience())
	defer cancel()
	config := sandbox(p)
	box, err := n.runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: config})
	if err != nil {
		n.find(p)
		return err
	}
	p.id = box.PodSandboxId
	container, err := n.runtime.CreateContainer(ctx, &cri.CreateContainerRequest{
		PodSandboxId: p.id, SandboxConfig: config,
		Config: &cri.ContainerConfig{
			Metadata: &cri.ContainerMetadata{Name: "app"}, Image: &cri.ImageSpec{Image: imageName},
			Command: []string{"/app"}, Args: []string{"serve", p.Name}, Linux: &cri.LinuxContainerConfig{},
		},
	})
	if err != nil {
		return err
	}
	_, err = n.runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: container.ContainerId})
	return err
}

// find gives a pod that failed the ID of what containerd kept of it, as Kubernetes' node agent does: where the network could not be taken down,
// the sandbox stays, to be stopped once more.
func (n *node) find(p *Pod) {
	list, err := n.runtime.ListPodSandbox(context.Background(), &cri.ListPodSandboxRequest{})
	if err != nil {
		return
	}
	for _, box := range list.Items {
		if box.Metadata.Name == p.Name {
			p.id = box.Id
		}
	}
}

func (n *node) Stop(p *Pod) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience())
	defer cancel()
	_, err := n.runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: p.id})
	return err
}

func (n *node) Remove(p *Pod) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience())
	defer cancel()
	_, err := n.runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: p.id})
	return err
}

// Ready is the node's condition: nil, or what containerd says is wrong with the network.
func (n *node) Ready() error {
	status, err := n.runtime.Status(context.Background(), &cri.StatusRequest{})
	if err != nil {
		return err
	}
	for _, condition := range status.Status.Conditions {
		if condition.Type == cri.NetworkReady && !condition.Status {
			return fmt.Errorf("%s: %s", condition.Reason, condition.Message)
		}
	}
	return nil
}

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
