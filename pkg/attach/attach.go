// Package attach makes a CNI plugin of a parser and a planner: the six verbs, each a reading of the plan.
package attach

import (
	"encoding/json"
	"net"
	"slices"
	"strings"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/pkg/digest"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/ipam"
	"github.com/trestle-cni/trestle/pkg/keys"
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
	sum := digest.SHA256(string(c.Seed[:]) + part)
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
	e := engine{place: k.Place, delegates: k.IPAM != nil, filters: k.Filter != nil, parse: k.parse}
	return plugin.Plugin{Name: k.Name, Versions: k.Versions, Args: k.Args, Equals: k.Equals, Makes: k.Place == First, Ahead: k.Ahead,
		Add: e.add, Del: e.del, Check: e.check, GC: e.gc, Status: e.status,
		Repair: e.repair, Undo: e.undoPart, Collect: e.collectPart, Parse: func(r *plugin.Request) error { _, err := k.Parse(r); return err }}
}

// parse reads the configuration, and forgets its type.
func (k Kind[C]) parse(req *plugin.Request) (config, error) {
	c, err := k.Parse(req)
	read := config{plan: func(call Call) (plan.Plan, error) { return k.Plan(c, call) }}
	if k.IPAM != nil {
		read.ipam = k.IPAM(c)
	}
	if k.Filter != nil {
		read.filter = func() (firewall.Filter, error) { return k.Filter(c) }
	}
	return read, err
}

// engine is a Kind as the verbs see it. It knows nothing of the configuration's type, so that a binary of many plugins has the verbs once.
type engine struct {
	place     Place
	delegates bool // to an IPAM plugin, if the configuration names one
	filters   bool
	parse     func(*plugin.Request) (config, error)
}

// config is a configuration that was read, as far as that went.
type config struct {
	plan   func(Call) (plan.Plan, error)
	ipam   string // the delegate that gives addresses; empty: none
	filter func() (firewall.Filter, error)
}

// verb is what every verb of one call works with.
type verb struct {
	engine
	req      *plugin.Request
	config   config
	call     Call
	site     *site.Site
	reserved map[owner.ID]ipam.Finding // who has a reservation; nil until a GC asks
}

// enter is how a verb begins that needs the container's namespace: the configuration read whole, the namespace looked at, then entered.
func (e engine) enter(req *plugin.Request) (*verb, error) {
	config, err := e.parse(req)
	if err == nil {
		err = plugin.GivesNone(config.ipam)
	}
	if err != nil {
		return nil, err
	}
	if sandbox, err := req.Sandbox(); sandbox != plugin.SandboxAlive {
		return nil, err
	}
	return e.begin(req, config, req.Netns)
}

// begin opens the site. netns is empty where the container's side must not be entered.
func (e engine) begin(req *plugin.Request, c config, netns string) (*verb, error) {
	v := &verb{engine: e, req: req, config: c}
	v.call = Call{Owner: owner.Of(req.Network, req.ContainerID, req.IfName), IfName: req.IfName, Netns: req.Netns}
	if _, err := unix.Getrandom(v.call.Seed[:], 0); err != nil { // crypto/rand tests itself first
		return nil, err
	}
	var err error
	v.site, err = site.Open(site.Options{Netns: netns, Opened: req.Namespace(), Logf: req.Logf, Filter: c.filter})
	return v, err
}

func (v *verb) plan(result *types100.Result) (plan.Plan, error) {
	v.call.Result, v.call.Taken = result, v.taken
	return v.config.plan(v.call)
}

// taken looks whether a link of that name is somebody else's.
func (v *verb) taken(name string) bool {
	link, err := v.site.Host.LinkByName(name)
	if err != nil {
		return false
	}
	o, marked := owner.Parse(link.Attrs().Alias)
	return !marked || o.ID != v.call.Owner.ID
}

// Early says whether the configuration's delegate gives addresses without looking at the interface, so that it is asked before anything is made and
// its refusal leaves no trace. Any other (dhcp; static with detectConflict) may expect the interface to be there.
func Early(k *keys.Object) bool {
	ipam := k.Object("ipam")
	kind := ipam.String("type", "")
	return kind == "host-local" || kind == "static" && !ipam.Bool("detectConflict", false)
}

// prevResult returns the result of the plugins before, or of an earlier ADD. That there is none is an error where the plugin needs one.
func (v *verb) prevResult() (*types100.Result, error) {
	result, err := v.req.PrevResult()
	if err == nil && result == nil && v.place != Anywhere {
		err = fault.New(fault.Config, "call it with the result of the last ADD, as in a chain of a conflist", "prevResult: missing, %s of %s needs it",
			v.req.Command, v.req.Plugin)
	}
	return result, err
}
