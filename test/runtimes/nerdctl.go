package main

import (
	"fmt"
)

// nerdctlConfig is nerdctl.toml.
const nerdctlConfig = `address = "` + socket + `"
namespace = "default"
cgroup_manager = "cgroupfs"
cni_path = "` + binDir + `"
cni_netconfpath = "` + confDir + `"
data_root = "/var/lib/nerdctl"
`

// nerdctl is containerd as people use it who were used to docker. It needs the plugin firewall.
type nerdctl struct {
	containerd
	program string
}

func (n *nerdctl) tool(arguments ...string) (string, error) {
	return program("env", append([]string{"NERDCTL_TOML=/run/nerdctl.toml", n.program}, arguments...)...)
}

func (n *nerdctl) Start() error {
	if err := write("/run/nerdctl.toml", nerdctlConfig); err != nil {
		return err
	}
	if err := n.containerd.Start(); err != nil {
		return err
	}
	_, err := n.tool("load", "-i", n.image)
	return err
}

// Run publishes the port for IPv6, too: nerdctl itself means IPv4 alone.
func (n *nerdctl) Run(p *Pod) error {
	var more []string
	if p.Host != 0 {
		for _, protocol := range []string{"tcp", "udp"} {
			more = append(more, "--publish", fmt.Sprintf("[::]:%d:8080/%s", p.Host, protocol))
		}
	}
	return start(n, p, "node", more...)
}

func (n *nerdctl) habits() (network, bridge string, isolated []string) {
	return "bridge", "nerdctl0", nil
}

func (n *nerdctl) more() [][]string { return nil }

func (n *nerdctl) Stop(p *Pod) error {
	_, err := n.tool("stop", "--time", "5", p.Name)
	return err
}

func (n *nerdctl) Remove(p *Pod) error {
	_, err := n.tool("rm", "--force", p.Name)
	return err
}
