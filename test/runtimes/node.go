package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// daemon is what is started once and serves.
type daemon interface {
	Start() error
	Quit() error
	Kill() error // ends it as a crash does
}

// serve starts a daemon, whose words go to the file.
func serve(cmd *exec.Cmd, file string) error {
	log, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	return cmd.Start()
}

// quit ends it.
func quit(cmd *exec.Cmd, signal os.Signal) error {
	if err := cmd.Process.Signal(signal); err != nil {
		return err
	}
	cmd.Wait() // its status says that it was told to end
	return nil
}

// node is a daemon as Kubernetes' node agent uses it, through the container runtime interface.
type node struct {
	daemon
	socket     string
	connection *grpc.ClientConn
	runtime    cri.RuntimeServiceClient
	trace      string // that its client's calls are part of, as W3C's traceparent has it
}

// context is that of a call.
func (n *node) context() (context.Context, context.CancelFunc) {
	ctx := context.Background()
	if n.trace != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", n.trace)
	}
	return context.WithTimeout(ctx, patience())
}

func (n *node) Start() error {
	if err := n.daemon.Start(); err != nil {
		return err
	}
	connection, err := grpc.NewClient("unix://"+n.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
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
	return errors.Join(n.connection.Close(), n.daemon.Quit())
}

func (n *node) Kill() error {
	return errors.Join(n.connection.Close(), n.daemon.Kill())
}

func sandbox(p *Pod) *cri.PodSandboxConfig {
	config := &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: p.Name, Uid: "uid-" + p.Name, Namespace: "default"},
		Linux:    &cri.LinuxPodSandboxConfig{CgroupParent: "/" + cgroup},

		Annotations: p.Annotations,
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
	ctx, cancel := n.context()
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
			Metadata: &cri.ContainerMetadata{Name: "app"}, Image: &cri.ImageSpec{Image: imageName, UserSpecifiedImage: imageName},
			Command: []string{"/app"}, Args: []string{"serve", p.Name}, Linux: &cri.LinuxContainerConfig{},
		},
	})
	if err != nil {
		return err
	}
	_, err = n.runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: container.ContainerId})
	return err
}

// find gives a pod that failed the ID of what the daemon kept of it, as Kubernetes' node agent does: where the network could not be taken down,
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
	ctx, cancel := n.context()
	defer cancel()
	_, err := n.runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: p.id})
	return err
}

func (n *node) Remove(p *Pod) error {
	ctx, cancel := n.context()
	defer cancel()
	_, err := n.runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: p.id})
	return err
}

// Ready is the node's condition: nil, or what the daemon says is wrong with the network.
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
