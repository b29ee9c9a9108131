// Package network writes the list of plugins by which a runtime knows that its node has a network, out of a template, when the plugins are there.
package network

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"text/template"

	"golang.org/x/sys/unix"

	"github.com/trestle-cni/trestle/cmd/trestle-node/pool"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/kernel/plainfile"
)

//go:embed conflist.tmpl
var ours string

// Network is where the list is, and what of it no node decides.
type Network struct {
	Name     string
	Ranges   string         // what host-local reads
	Conflist string         // the file that the runtime reads
	Plugins  string         // the directory with the plugins
	Template string         // a file; "": ours
	Exclude  []netip.Prefix // the cluster's own, to which nothing is masqueraded
	Known    Known          // plugins that are ours; nil: each is asked each time
}

// Known are files of plugins that have said that they are ours, as they were then.
type Known map[string]unix.Stat_t

// Host is what a node decides.
type Host struct {
	Node  string
	CIDRs []netip.Prefix
	MTU   int // 0: the plugins' own choice
}

// Put writes the list, if it is not there already. It is refused while a plugin that it names is missing, or another's that would not do what the list says, so that
// a runtime which sees it can use it.
func (n Network) Put(ctx context.Context, h Host) (changed bool, err error) {
	if err := n.within(h.CIDRs); err != nil {
		return false, err
	}
	text, err := n.render(h)
	if err != nil {
		return false, err
	}
	if err := n.ready(ctx, text); err != nil {
		return false, err
	}
	if there, err := plainfile.Read(n.Conflist); err == nil && bytes.Equal(there, text) {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(n.Conflist), 0o755); err != nil {
		return false, fault.New(fault.IO, "is its directory mounted and writable?", "conflist: %w", err)
	}
	if err := plainfile.Publish(n.Conflist, text); err != nil {
		return false, fault.New(fault.IO, "is its directory mounted and writable?", "conflist: %w", err)
	}
	return true, nil
}

// within holds that the node's CIDRs are the cluster's: to others of its containers would come with the address of their host, and nobody would see why.
func (n Network) within(cidrs []netip.Prefix) error {
	for _, cidr := range cidrs {
		if !pool.Within(cidr, n.Exclude) {
			return fault.New(fault.Config, "let clusterCIDRs say the same as kube-controller-manager's --cluster-cidr", "clusterCIDRs: %v: the node's CIDR %s is in none of them", n.Exclude, cidr)
		}
	}
	return nil
}

// render fills in the template, whose own members are those of Network and Host, and IPv4 and IPv6: whether the node has CIDRs of these families.
func (n Network) render(h Host) ([]byte, error) {
	source, name := ours, "template"
	if n.Template != "" {
		text, err := plainfile.Read(n.Template)
		if err != nil {
			return nil, fault.New(fault.Config, "name a file that can be read, or none for the one that is built in", "template: %w", err)
		}
		source, name = string(text), n.Template
	}
	functions := template.FuncMap{"json": func(v any) (string, error) {
		text, err := json.Marshal(v)
		return string(text), err
	}}
	made, err := template.New(name).Option("missingkey=error").Funcs(functions).Parse(source)
	var out bytes.Buffer
	if err == nil {
		err = made.Execute(&out, struct {
			Network
			Host
			IPv4, IPv6 bool
		}{n, h, has(h.CIDRs, 4), has(h.CIDRs, 16)})
	}
	if err == nil {
		err = n.check(out.Bytes())
	}
	if err != nil {
		return nil, fault.New(fault.Config, "docs/cluster.md says what a template may have", "template: %w", err)
	}
	return out.Bytes(), nil
}

func has(cidrs []netip.Prefix, bytes int) bool {
	for _, cidr := range cidrs {
		if cidr.Addr().BitLen() == 8*bytes {
			return true
		}
	}
	return false
}

// check holds that what came of the template is a list of this network, one of whose plugins takes addresses out of what the node has.
func (n Network) check(text []byte) error {
	var l list
	if err := json.Unmarshal(text, &l); err != nil {
		return err
	}
	if l.Name != n.Name {
		return errors.New(`the list's name is "` + l.Name + `", and must be that of the network, "` + n.Name + `"`)
	}
	for _, p := range l.Plugins {
		if p.IPAM.RangesFrom == n.Ranges {
			return nil
		}
	}
	return errors.New(`no plugin of the list has "rangesFrom": "` + n.Ranges + `"`)
}
