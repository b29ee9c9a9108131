package agent

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/trestle-cni/trestle/cmd/trestle-node/kube"
	"github.com/trestle-cni/trestle/cmd/trestle-node/ledger"
	"github.com/trestle-cni/trestle/cmd/trestle-node/life"
	"github.com/trestle-cni/trestle/cmd/trestle-node/network"
	"github.com/trestle-cni/trestle/pkg/fault"
)

// Cluster is where a member hears of Nodes.
type Cluster interface {
	Nodes() (all []kube.Node, whole bool)
	Follow(ctx context.Context, changed func(), heard func(error))
}

// Member is a host of a cluster whose Nodes say which addresses are whose.
type Member struct {
	Name    string
	Cluster Cluster
	Grant   *ledger.Grant
	Network network.Network
	Life    *life.Life
	// Reach begins to make others' blocks reachable from these addresses of this host's; nil where something else does.
	Reach func(ctx context.Context, via []netip.Addr) (Reach, MTU, error)
	// Machine is this one, which the Node must be.
	Machine Machine

	identity identity
	reach    Reach
	mtu      MTU
	outside  string // of which was told
}

// Parts of a member that must be well.
const (
	API       = "api"       // the API server answers
	Addresses = "addresses" // the host has some to hand out
	Ways      = "ways"      // others are reachable
	List      = "list"      // the runtime has the network's list
)

// MemberParts are all of them.
var MemberParts = []string{API, Addresses, Ways, List}

// Run keeps the host, and the files that say so, as its Node says until ctx ends, and then changes nothing. While the API server is not heard, all stays as it is.
func (m *Member) Run(ctx context.Context) error {
	pulled := make(chan struct{}, 1)
	if err := listen(ctx, pulled, m.Grant.Dir(), filepath.Dir(m.Network.Conflist)); err != nil {
		return err
	}
	_ = listen(ctx, pulled, m.Network.Plugins) // where that cannot be watched the list is tried again and again
	go m.Cluster.Follow(ctx, func() { Pull(pulled) }, func(err error) {
		if err != nil {
			err = fault.New(fault.NoService, "is the API server there, and may this account list and watch nodes?", "kubernetes: %w", err)
		}
		m.Life.Told(API, err)
	})
	m.identity.Machine = m.Machine
	failures, again := 0, (<-chan time.Time)(nil)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-pulled:
		case <-again:
		}
		failures, again = failures+1, time.After(pause(failures+1))
		if nodes, whole := m.Cluster.Nodes(); !whole || m.become(ctx, ViewOf(m.Name, nodes, m.Network.Exclude), len(nodes)) {
			failures, again = 0, nil
		}
	}
}

// become brings the host to what the view says, and says whether nothing is left to be tried again. What is taken from it goes first; what it is given comes
// when others are reachable, and the list last: a runtime that sees it has a network. While the Node is another machine it is given nothing, and its ways stay
// as they are: the addresses are the other's.
func (m *Member) become(ctx context.Context, v View, hosts int) bool {
	m.Life.Gauge(life.Hosts, float64(hosts))
	m.mention(strings.Join(v.Outside, ", "))
	another := m.identity.own(v.Own, time.Now())
	if another != nil {
		v.CIDRs, v.Trouble = nil, another
	}
	m.Life.Gauge(life.Blocks, float64(len(v.CIDRs)))
	err := m.take(ctx, v.CIDRs)
	m.Life.Told(Addresses, cmp.Or(err, v.Trouble))
	if err != nil || another != nil {
		return false
	}
	err = m.ways(ctx, v)
	m.Life.Told(Ways, err)
	if err != nil {
		return false
	}
	if len(v.CIDRs) == 0 {
		return true
	}
	if err := m.set(ctx, v.CIDRs); err != nil {
		m.Life.Told(Addresses, err)
		return false
	}
	changed, err := m.publish(ctx, v.CIDRs)
	m.Life.Told(List, err)
	if changed {
		m.Life.Did("the runtime has the network's list", "file", m.Network.Conflist)
	}
	return err == nil
}

// mention tells, once, which CIDRs of others are none of the cluster's. That is theirs to mend, and this host is as ready as before.
func (m *Member) mention(outside string) {
	if outside != m.outside {
		m.outside = outside
		m.Life.Did("no way leads to what is in none of clusterCIDRs", "cidrs", outside)
	}
}

// publish writes the list, with the MTU as it is now.
func (m *Member) publish(ctx context.Context, cidrs []netip.Prefix) (changed bool, err error) {
	mtu, err := m.mtu()
	if err != nil {
		return false, err
	}
	return m.Network.Put(ctx, network.Host{Node: m.Name, CIDRs: cidrs, MTU: mtu})
}

// take takes everything from host-local where something of it is the host's no more.
func (m *Member) take(ctx context.Context, cidrs []netip.Prefix) error {
	has := m.Grant.Has()
	if len(has) > 0 && !slices.ContainsFunc(has, func(p netip.Prefix) bool { return !slices.Contains(cidrs, p) }) {
		return nil
	}
	return m.set(ctx, nil)
}

func (m *Member) set(ctx context.Context, cidrs []netip.Prefix) error {
	changed, err := m.Grant.Set(ctx, cidrs)
	if err != nil || !changed {
		return err
	}
	strays, err := m.Grant.Strays(cidrs)
	m.Life.Gauge(life.Strays, float64(len(strays)))
	m.Life.Did("containers get addresses of", "cidrs", fmt.Sprint(cidrs), "strays", len(strays))
	return err
}

// ways makes others reachable, where that is ours to do.
func (m *Member) ways(ctx context.Context, v View) (err error) {
	if m.Reach == nil {
		m.mtu = WholeMTU
		return nil
	}
	if m.reach == nil {
		if len(v.Own.Via) == 0 {
			return fault.New(fault.TryLater, "its kubelet or the cloud's controller has to say one", "node %s: has no InternalIP yet", m.Name)
		}
		if m.reach, m.mtu, err = m.Reach(ctx, v.Own.Via); err != nil {
			return err
		}
	}
	return m.reach.Set(ctx, v.Neighbours)
}
