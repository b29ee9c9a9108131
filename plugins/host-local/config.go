package hostlocal

import (
	"net/netip"
	"strings"
	"time"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/grant"
	"github.com/trestle-cni/trestle/pkg/ipam"
	"github.com/trestle-cni/trestle/pkg/keys"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// config is what the network's configuration and the runtime ask for; README.md explains the keys.
type config struct {
	dataDir    string
	rangesFrom string       // the file that has the sets; where it is named, readRanges fills in sets and wanted
	sets       []ipam.Set   // in the order in which they yield addresses
	asked      []netip.Addr // the requested addresses
	wanted     []netip.Addr // the same by range set; the zero Addr where any will do
	routes     []*types.Route
	resolvConf string
	policy     ipam.Policy
	fullIsDown bool // statusWhenFull: a full range set makes STATUS fail
}

// defaultCooldown is longer than Linux takes a neighbour's address for granted: base_reachable_time is drawn from 15 to 45 s
// (arp(7)), and most entries have been asked about by then.
const defaultCooldown = 30

// parse reads the configuration of an ADD, a CHECK or a STATUS. The error holds every complaint.
func parse(r *plugin.Request) (config, error) {
	ipamKeys := r.Keys.Object("ipam")
	if !r.Keys.Has("ipam") {
		r.Keys.Reject("ipam", nil, "must be an object")
		return config{}, r.Keys.Err()
	}
	runtime := r.Keys.Object("runtimeConfig")
	c := config{
		dataDir:    dataDir(ipamKeys),
		rangesFrom: parseRangesFrom(runtime, ipamKeys),
	}
	if c.rangesFrom == "" {
		c.sets = parseSets(r, runtime, ipamKeys)
	}
	c.resolvConf, c.policy = ipamKeys.String("resolvConf", ""), policy(r, ipamKeys)
	if r.Command != "CHECK" { // who has an address already needs none of them
		c.routes = plugin.Routes(ipamKeys, "routes")
	}
	c.fullIsDown = parseWhenFull(ipamKeys, c.rangesFrom != "")
	c.asked = parseWanted(r)
	err := r.Keys.Err()
	if err != nil {
		return config{}, err
	}
	if c.rangesFrom == "" {
		c.wanted, err = assign(c.asked, c.sets)
	}
	return c, err
}

// parseWhenFull says whether a full range set makes STATUS fail. Where the ranges are the host's share of a pool it does unless told otherwise: other
// hosts have room.
func parseWhenFull(ipamKeys *keys.Object, shared bool) bool {
	switch when := ipamKeys.String("statusWhenFull", ""); when {
	case "":
		return shared
	case "error":
		return true
	case "warning":
	default:
		ipamKeys.Reject("statusWhenFull", when, "must be warning or error")
	}
	return false
}

// parseStore reads as much of the configuration as a DEL and a GC need: a configuration that is broken otherwise must still let
// go of what the container holds.
func parseStore(r *plugin.Request) (config, error) {
	ipamKeys := r.Keys.Object("ipam")
	c := config{dataDir: dataDir(ipamKeys)}
	err := r.Keys.Err()
	c.policy = policy(r, ipamKeys)
	return c, err
}

func policy(r *plugin.Request, ipamKeys *keys.Object) ipam.Policy {
	return ipam.Policy{
		Cooldown: time.Duration(ipamKeys.Int("cooldown", defaultCooldown, 0, 86400)) * time.Second,
		Reclaim:  ipamKeys.Bool("reclaim", true),
		Dry:      r.DryRun(),
		Log:      r.Logf,
	}
}

func dataDir(ipamKeys *keys.Object) string {
	dir := ipamKeys.String("dataDir", "")
	if dir == "" {
		return ipam.DefaultDir
	}
	return dir
}

// parseWanted reads the requested addresses: those of grant.Requested, else IP in CNI_ARGS. A prefix length does not matter.
func parseWanted(r *plugin.Request) (addrs []netip.Addr) {
	wanted := grant.Requested(r)
	if text := r.Args["IP"]; len(wanted) == 0 && text != "" {
		wanted = grant.Parse(r.Keys, "CNI_ARGS IP", []string{text})
	}
	for _, asked := range wanted {
		addrs = append(addrs, asked.Addr)
	}
	return addrs
}

// assign finds the range set of each requested address. A set yields one address, so a second request for it is an error, like
// one that no set contains.
func assign(wanted []netip.Addr, sets []ipam.Set) ([]netip.Addr, error) {
	bySet := make([]netip.Addr, len(sets))
	var left []string
next:
	for _, addr := range wanted {
		for i, set := range sets {
			if _, ok := set.Find(addr); ok && !bySet[i].IsValid() {
				bySet[i] = addr
				continue next
			}
		}
		left = append(left, addr.String())
	}
	if len(left) > 0 {
		return nil, fault.New(fault.Config, "ask for an address of these, and for one of each range set at the most",
			"requested addresses: %s: in no range set of %s that has one to give", strings.Join(left, ", "), describe(sets))
	}
	return bySet, nil
}

func describe(sets []ipam.Set) string {
	texts := make([]string, len(sets))
	for i, set := range sets {
		texts[i] = set.String()
	}
	return strings.Join(texts, "; ")
}
