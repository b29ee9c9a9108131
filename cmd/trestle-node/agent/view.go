package agent

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/cmd/trestle-node/kube"
	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/pkg/fault"
)

// View is what follows for a host from the Nodes of its cluster.
type View struct {
	Own        kube.Node      // its own Node; of one that is not there only the name
	CIDRs      []netip.Prefix // out of which it hands out
	Neighbours []Neighbour    // all blocks whose owner is beyond doubt, its own among them
	Outside    []string       // others' that are no part of the cluster's
	Trouble    error          // why it hands out nothing, or what is wrong beside it
}

// ViewOf is the view of the host with this name. Two Nodes with one address are a fault of whoever gave it, and the older keeps it: its containers were there
// first. The younger hands out nothing, so that no address is on both. What is no part of the cluster's subnets no Node has: it takes nothing from anybody, and no
// way leads there.
func ViewOf(name string, nodes []kube.Node, cluster []netip.Prefix) (v View) {
	own := kube.Node{Name: name}
	if i := slices.IndexFunc(nodes, func(n kube.Node) bool { return n.Name == name }); i >= 0 {
		own = nodes[i]
		v.Trouble = whole(own)
	} else {
		v.Trouble = fault.New(fault.NoService, "register it (restart its kubelet), or mend the key node: the Node's name is wanted", "node %s: the cluster has no Node of that name", name)
	}
	v.Own = own
	cluster = append(slices.Clone(cluster), own.CIDRs...) // where its own is none of the cluster's it is refused a list, and nobody else's
	lost, complaints := disputes(nodes, name, cluster)
	if v.Trouble == nil && !slices.ContainsFunc(own.CIDRs, func(p netip.Prefix) bool { return lost[block{name, p}] }) {
		v.CIDRs = own.CIDRs
	}
	if len(complaints) > 0 {
		v.Trouble = fault.Join(v.Trouble, fault.New(fault.Taken, "drain and delete one of the Nodes, and let it register anew; then ask why both were given it",
			"%s", strings.Join(complaints, "; ")))
	}
	for _, n := range nodes {
		for _, cidr := range n.CIDRs {
			switch {
			case !pool.Within(cidr, cluster):
				v.Outside = append(v.Outside, fmt.Sprintf("%s of node %s", cidr, n.Name))
			case !lost[block{n.Name, cidr}]:
				v.Neighbours = append(v.Neighbours, Neighbour{Block: cidr, Node: n.Name, Epoch: n.Created.Unix(), Via: n.Via})
			}
		}
	}
	slices.SortFunc(v.Neighbours, func(a, b Neighbour) int { return a.Block.Addr().Compare(b.Block.Addr()) })
	return v
}

// whole says what a Node lacks.
func whole(n kube.Node) error {
	switch {
	case n.Wrong != "":
		return fault.New(fault.Config, "ask who gives CIDRs to Nodes", "node %s: its podCIDR %s is none", n.Name, n.Wrong)
	case len(n.CIDRs) == 0:
		return fault.New(fault.TryLater, "does kube-controller-manager run with --allocate-node-cidrs and --cluster-cidr?", "node %s: has no podCIDR yet", n.Name)
	}
	for i, cidr := range n.CIDRs {
		if slices.ContainsFunc(n.CIDRs[:i], func(p netip.Prefix) bool { return pool.FamilyOf(p.Addr()) == pool.FamilyOf(cidr.Addr()) }) {
			return fault.New(fault.Config, "let it have one of each family: a container would get an address of each", "node %s: has several podCIDRs of IPv%d", n.Name, pool.FamilyOf(cidr.Addr()))
		}
		if cidr.Addr().BitLen()-cidr.Bits() < 2 {
			return fault.New(fault.Config, "a shorter --node-cidr-mask-size", "node %s: nothing can be handed out of %s", n.Name, cidr)
		}
		if i := slices.IndexFunc(n.Via, cidr.Contains); i >= 0 || !pool.Usable(cidr) {
			return fault.New(fault.Config, "let --cluster-cidr be a subnet in which no machine is", "node %s: no pod can have all of its podCIDR %s: the machine's own addresses are %v", n.Name, cidr, n.Via)
		}
	}
	return nil
}

// block is one that a Node says is its own.
type block struct {
	node string
	cidr netip.Prefix
}

// disputes finds the blocks that overlap an older Node's, and says which of them concern this host.
func disputes(nodes []kube.Node, name string, cluster []netip.Prefix) (lost map[block]bool, complaints []string) {
	type claim struct {
		kube.Node
		cidr netip.Prefix
	}
	var all []claim
	for _, n := range nodes {
		for _, cidr := range n.CIDRs {
			if pool.Within(cidr, cluster) {
				all = append(all, claim{n, cidr})
			}
		}
	}
	slices.SortFunc(all, func(a, b claim) int {
		return cmp.Or(a.cidr.Addr().Compare(b.cidr.Addr()), cmp.Compare(a.cidr.Bits(), b.cidr.Bits()), older(a.Node, b.Node))
	})
	lost = make(map[block]bool)
	var around []claim // those in which the present one lies
	for _, c := range all {
		around = slices.DeleteFunc(around, func(a claim) bool { return !a.cidr.Contains(c.cidr.Addr()) })
		for _, a := range around {
			if a.Name == c.Name {
				continue
			}
			first, second := a, c
			if older(c.Node, a.Node) < 0 {
				first, second = c, a
			}
			lost[block{second.Name, second.cidr}] = true
			if first.Name == name || second.Name == name {
				complaints = append(complaints, fmt.Sprintf("node %s: its podCIDR %s overlaps %s of node %s, which is older", second.Name, second.cidr, first.cidr, first.Name))
			}
		}
		around = append(around, c)
	}
	return lost, complaints
}

// older orders Nodes by age.
func older(a, b kube.Node) int {
	return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.Name, b.Name))
}
