package main

import (
	"context"
	"net/netip"

	"github.com/trestle-cni/trestle/cmd/trestle-node/agent"
	"github.com/trestle-cni/trestle/cmd/trestle-node/kube"
	"github.com/trestle-cni/trestle/cmd/trestle-node/ledger"
	"github.com/trestle-cni/trestle/cmd/trestle-node/network"
	"github.com/trestle-cni/trestle/cmd/trestle-node/reach"
	"github.com/trestle-cni/trestle/pkg/keys"
)

// member is what is particular to a host of a Kubernetes cluster.
type member struct {
	kubeconfig string
	network    network.Network
}

func parseMember(o *keys.Object, name string) member {
	return member{
		kubeconfig: o.String("kubeconfig", ""),
		network: network.Network{
			Name:     name,
			Conflist: o.String("conflist", "/etc/cni/net.d/10-"+name+".conflist"),
			Plugins:  o.String("pluginDir", "/opt/cni/bin"),
			Template: o.String("template", ""),
			Exclude:  cidrs(o, "clusterCIDRs"),
			Known:    network.Known{},
		},
	}
}

// cidrs reads a list of subnets.
func cidrs(o *keys.Object, key string) []netip.Prefix {
	list := []netip.Prefix{}
	for _, text := range o.Strings(key) {
		cidr, err := netip.ParsePrefix(text)
		if err != nil || cidr != cidr.Masked() {
			o.Reject(key, text, "must be a subnet, as in 10.244.0.0/16")
			continue
		}
		list = append(list, cidr)
	}
	return list
}

// runMember is the agent of a host of a cluster.
func runMember(ctx context.Context, c config) error {
	l, err := begin(ctx, c, agent.MemberParts)
	if err != nil {
		return err
	}
	cluster, err := kube.Dial(c.member.kubeconfig, l.Logger())
	if err != nil {
		return err
	}
	grant, err := ledger.OpenGrant(c.places, c.node)
	if err != nil {
		return err
	}
	machine, err := agent.ThisMachine()
	if err != nil {
		return err
	}
	m := agent.Member{Name: c.node, Cluster: cluster, Grant: grant, Network: c.member.network, Life: l, Machine: machine}
	m.Network.Ranges = c.places.Ranges
	if c.reach.Mode != reach.None {
		m.Reach = func(ctx context.Context, via []netip.Addr) (agent.Reach, agent.MTU, error) {
			return c.openReach(ctx, l, via)
		}
	}
	return m.Run(ctx)
}
