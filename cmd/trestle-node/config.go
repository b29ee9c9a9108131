package main

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/trestle-cni/trestle/cmd/trestle-node/etcd"
	"github.com/trestle-cni/trestle/cmd/trestle-node/ledger"
	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/cmd/trestle-node/protocol"
	"github.com/trestle-cni/trestle/cmd/trestle-node/reach"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/ipam"
	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
	"github.com/trestle-cni/trestle/pkg/keys"
)

// config is a network's file; docs/cluster.md explains the keys.
type config struct {
	network   string
	node      string
	source    string
	listen    string // where its health is asked for, "": nowhere
	heal      bool   // what others sweep away of the packet filter is made again
	via       []netip.Addr
	store     etcd.Config
	places    ledger.Places
	spare     int
	maxBlocks int
	rest      time.Duration
	pool      *pool.Definition // what init is to make of it
	reach     reach.Config
	member    member
}

// Where blocks come from.
const (
	etcdSource       = "etcd"
	kubernetesSource = "kubernetes"
)

// readConfig reads the file; its error has every complaint.
func readConfig(path, source string) (config, error) {
	text, err := plainfile.Read(path)
	if err != nil {
		return config{}, fault.New(fault.Config, "name the network's file: --config FILE", "configuration: %w", err)
	}
	o, err := keys.Parse(text)
	if err != nil {
		return config{}, err
	}
	return parse(o, source)
}

// parse reads the keys that the source has; where it is "" the file names it.
func parse(o *keys.Object, source string) (config, error) {
	host, _ := os.Hostname()
	host = cmp.Or(os.Getenv("NODE_NAME"), host) // a pod may be told
	c := config{network: o.String("network", ""), node: o.String("node", host)}
	name(o, "network", c.network)
	name(o, "node", c.node)
	c.via = addresses(o, "via")
	for _, via := range c.via {
		if !reach.OfHost(via) {
			o.Reject("via", via.String(), "must be an address at which other hosts reach this one")
		}
	}
	c.member = parseMember(o, c.network)
	if c.source = cmp.Or(source, o.String("source", etcdSource)); c.source == kubernetesSource {
		if len(c.member.network.Exclude) == 0 {
			o.Reject("clusterCIDRs", nil, `must have what Nodes' CIDRs are parts of, as in ["10.244.0.0/16"]`)
		}
	} else {
		c.store = parseStore(o, c.network)
		if !o.Has("conflist") {
			c.member.network.Conflist = "" // it is the operator's
		}
	}
	if c.source != etcdSource && c.source != kubernetesSource {
		o.Reject("source", c.source, "must be etcd or kubernetes")
	}
	c.listen, c.heal = o.String("listen", ""), o.Bool("heal", false)
	c.places = ledger.Places{
		Network: c.network,
		Ledger:  o.String("ledger", "/var/lib/cni/blocks/"+c.network+".json"),
		Ranges:  o.String("rangesFile", "/run/cni/blocks/"+c.network+".json"),
		Data:    o.String("dataDir", ipam.DefaultDir),
	}
	c.spare = o.Int("spare", 1, 0, 64)
	c.maxBlocks = o.Int("maxBlocks", 16, 1, 1024)
	c.rest = time.Duration(o.Int("rest", 600, 0, 86400)) * time.Second
	c.pool = parsePool(o, c.via)
	c.reach = parseReach(o, c)
	return c, o.Err()
}

func parseStore(o *keys.Object, network string) etcd.Config {
	c := etcd.Config{
		Endpoints: o.Strings("endpoints"),
		Prefix:    o.String("prefix", "/cni"),
		Network:   network,
		CAFile:    o.String("caFile", ""),
		CertFile:  o.String("certFile", ""),
		KeyFile:   o.String("keyFile", ""),
		Timeout:   time.Duration(o.Int("timeout", 2, 1, 60)) * time.Second,
	}
	if len(c.Endpoints) == 0 {
		o.Reject("endpoints", nil, `must have an address of etcd, as in ["https://192.0.2.1:2379"]`)
	}
	if c.Prefix == "" || c.Prefix[0] != '/' {
		o.Reject("prefix", c.Prefix, "must begin with /")
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		o.Reject("certFile", c.CertFile, "must come with keyFile")
	}
	return c
}

// parseReach reads how others are reached, and where this host's end of the tunnel is: at the first address at which it says it is reached.
func parseReach(o *keys.Object, c config) reach.Config {
	r := reach.Config{
		Network: c.network, Node: c.node,
		Mode:     reach.Mode(o.String("reach", string(reach.None))),
		Protocol: o.Int("routeProtocol", reach.Protocol, 5, 255),
		VNI:      o.Int("vni", 118, 1, 1<<24-1),
		Port:     o.Int("vxlanPort", 4789, 1, 65535),
	}
	if !slices.Contains(reach.Modes, r.Mode) {
		o.Reject("reach", string(r.Mode), "must be none, direct, vxlan or auto")
	}
	if reach.OfOthers(r.Protocol) {
		o.Reject("routeProtocol", r.Protocol, "must be a number by which no other program's routes are known, as 118: what has it and is not the agent's is removed")
	}
	if len(c.via) > 0 {
		r.Local = c.via[0]
	} else if r.Mode != reach.None && c.source != kubernetesSource { // where the Node says it
		o.Reject("via", nil, "must have the address at which other hosts reach this one")
	}
	return r
}

// name holds that the text can be part of a key and of a file's name.
func name(o *keys.Object, key, text string) {
	if !protocol.IsName(text) {
		o.Reject(key, text, "must be made of letters, digits, '-', '_' and '.'")
	}
}

func addresses(o *keys.Object, key string) (list []netip.Addr) {
	for _, text := range o.Strings(key) {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			o.Reject(key, text, "must be an address")
			continue
		}
		list = append(list, addr.Unmap())
	}
	return list
}

// parsePool reads what init is to define; nil where the file says nothing of it. This host is reached at none of its addresses.
func parsePool(o *keys.Object, vias []netip.Addr) *pool.Definition {
	if !o.Has("pool") {
		return nil
	}
	p := o.Object("pool")
	sizes := p.Object("blockSize")
	d := pool.Definition{
		BlockSize: pool.Sizes{IPv4: sizes.Int("ipv4", 0, 0, 30), IPv6: sizes.Int("ipv6", 0, 0, 126)},
		Shape:     p.String("shape", pool.Routed),
		CIDRs:     cidrs(p, "cidrs"),
		Subnets:   cidrs(p, "subnets"),
		Gateways:  addresses(p, "gateways"),
		Frozen:    p.Bool("frozen", false),
	}
	err := d.Check()
	if err != nil && o.Err() == nil {
		o.Reject("pool", json.RawMessage(o.Raw("pool")), err.Error())
	}
	for _, via := range vias {
		if _, in := d.Find(via); in && err == nil {
			o.Reject("via", via.String(), "must not be in the pool: a container would get it")
		}
	}
	return &d
}
