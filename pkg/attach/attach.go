// Package attach makes a CNI plugin of a parser and a planner: the six verbs, each a reading of the plan.
package attach

import (
	"crypto/sha256"
	"encoding/json"
	"net"
	"slices"
	"strings"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/owner"
	"github.com/trestle-cni/trestle/pkg/plan"
	"github.com/trestle-cni/trestle/pkg/plugin"
	"github.com/trestle-cni/trestle/pkg/site"
)

// Kind is an attachment plugin: all that is particular to it. C is its configuration. Both functions are pure.
type Kind[C any] struct {
	Name     string
	Versions []string // nil: all
	Args     bool     // it reads CNI_ARGS
	Equals   string   // as plugin.Plugin's

	// Parse reads the whole configuration and reports every complaint at once, with what could be read beside the error: a DEL goes on
	// with that.
	Parse func(*plugin.Request) (C, error)
	// Plan says what must exist. It must return the same kinds of steps whether or not the call's result is known, and the same plan
	// again for the result that it returned.
	Plan func(C, Call) (plan.Plan, error)
	// IPAM names the delegate that gives addresses; nil, or an empty name: none.
	IPAM func(C) string
	// Filter opens the host's packet filter; nil: the plugin asks for none.
	Filter func(C) (firewall.Filter, error)
	Place  Place
	// Ahead is what the plugin that makes the interface is to do in this one's place (plugin.Plugin); nil: nothing.
	Ahead func(*plugin.Request) map[string]json.RawMessage
}

// Place is where in a chain a plugin stands, and with that what prevResult is to it.
type Place uint8

// The places of a plugin.
const (
	First    Place = iota // it makes the result, and CHECK needs that back
	After                 // prevResult is its result, and it cannot ADD or CHECK without
	Anywhere              // prevResult is its result where there is one; else it makes one, and it can CHECK without
)

// Call is what a planner knows of the call beside the configuration.
type Call struct {
	Owner  owner.Owner
	IfName string // empty when an owner was found in the kernel (GC)
	Netns  string // as the runtime wrote it; for the result
	Seed   [32]byte
	// Taken says whether the host has a link of that name that is not this attachment's; nil: none.
	Taken func(link string) bool
	// Result is the IPAM plugin's on ADD, prevResult on CHECK and DEL and for all but first plugins, nil when there is none.
	Result *types100.Result
}

// MAC draws the Ethernet address of the part named: locally administered, unicast (IEEE 802, clause 8), the same for the same call.
func (c Call) MAC(part string) net.HardwareAddr {
	sum := sha256.Sum256(append(c.Seed[:], part...))
	sum[0] = sum[0]&^1 | 2
	return net.HardwareAddr(sum[:6])
}

// Carried says whether the result tells of the host link that has the owner's name, so that its absence tells something of the container. What the
// reference made hangs on a link of another name, and the absence of ours proves nothing.
func (c Call) Carried() bool {
	return c.Result != nil && slices.ContainsFunc(c.Result.Interfaces, func(link *types100.Interface) bool {
		return link.Sandbox == "" && link.Name == c.Owner.HostLink()
	})
}

// HostEnds returns the result's links on the host that may be the other end of the container's interface.
func (c Call) HostEnds() (names []string) {
	if c.Result == nil {
		return nil
	}
	for _, link := range c.Result.Interfaces {
		if link.Sandbox == "" && strings.HasPrefix(link.Name, "veth") {
			names = append(names, link.Name)
		}
	}
	return names
}

// Plugin returns the plugin that the shell runs.
func (k Kind[C]) Plugin() plugin.Plugin {
	return plugin.Plugin{Name: k.Name, Versions: k.Versions, Args: k.Args, Equals: k.Equals, Makes: k.Place == First, Ahead: k.Ahead,
		Add: k.add, Del: k.del, Check: k.check, GC: k.gc, Status: k.status,
		Repair: k.repair, Parse: func(r *plugin.Request) error { _, err := k.Parse(r); return err }}
}

// verb is what every verb of one call works with.
type verb[C any] struct {
	Kind[C]
	req    *plugin.Request
	config C
	call   Call
	site   *site.Site
	living map[owner.ID]bool // by their reservations; nil until a GC asks
}

// enter is how a verb begins that needs the container's namespace: the configuration read whole, the namespace looked at, then entered.
func (k Kind[C]) enter(req *plugin.Request) (*verb[C], error) {
	config, err := k.Parse(req)
	if err == nil && k.IPAM != nil {
		err = plugin.GivesNone(k.IPAM(config))
	}
	if err != nil {
		return nil, err
	}
	if sandbox, err := req.Sandbox(); sandbox != plugin.SandboxAlive {
		return nil, err
	}
	return k.begin(req, config, req.Netns)
}

// begin opens the site. netns is empty where the container's side must not be entered.
func (k Kind[C]) begin(req *plugin.Request, config C, netns string) (*verb[C], error) {
	v := &verb[C]{Kind: k, req: req, config: config}
	v.call = Call{Owner: owner.Of(req.Network, req.ContainerID, req.IfName), IfName: req.IfName, Netns: req.Netns}
	if _, err := unix.Getrandom(v.call.Seed[:], 0); err != nil { // crypto/rand tests itself first
		return nil, err
	}
	options := site.Options{Netns: netns, Opened: req.Namespace(), Logf: req.Logf}
	if k.Filter != nil {
		options.Filter = func() (firewall.Filter, error) { return k.Filter(config) }
	}
	var err error
	v.site, err = site.Open(options)
	return v, err
}

func (v *verb[C]) plan(result *types100.Result) (plan.Plan, error) {
	v.call.Result, v.call.Taken = result, v.taken
	return v.Plan(v.config, v.call)
}

// taken looks whether a link of that name is somebody else's.
func (v *verb[C]) taken(name string) bool {
	link, err := v.site.Host.LinkByName(name)
	if err != nil {
		return false
	}
	o, marked := owner.Parse(link.Attrs().Alias)
	return !marked || o.ID != v.call.Owner.ID
}

// ipam returns the name of the delegate, empty when there is none.
func (v *verb[C]) ipam() string {
	if v.IPAM == nil {
		return ""
	}
	return v.IPAM(v.config)
}

// Early says whether the delegate gives addresses without looking at the interface, so that it is asked before anything is made and
// its refusal leaves no trace. Any other (dhcp) may expect the interface to be there.
func Early(ipam string) bool { return ipam == "host-local" || ipam == "static" }

// prevResult returns the result of the plugins before, or of an earlier ADD. That there is none is an error where the plugin needs one.
func (v *verb[C]) prevResult() (*types100.Result, error) {
	result, err := v.req.PrevResult()
	if err == nil && result == nil && v.Place != Anywhere {
		err = fault.New(fault.Config, "call it with the result of the last ADD, as in a chain of a conflist", "prevResult: missing, %s of %s needs it",
			v.req.Command, v.req.Plugin)
	}
	return result, err
}
