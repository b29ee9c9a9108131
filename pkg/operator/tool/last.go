package tool

import (
	"context"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/host"
	"github.com/trestle-cni/trestle/pkg/ipam"
	"github.com/trestle-cni/trestle/pkg/operator/known"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// nobody says whether the host has neither attachment nor reservation, and that this could be seen.
func nobody(h *observe.Host) bool { return len(h.Attachments)+len(h.Reservations)+len(h.Problems) == 0 }

// emptyBridges are those of ours that have no port.
func emptyBridges(own *observe.Namespace) (names []string) {
	for _, l := range own.Links {
		used := slices.ContainsFunc(own.Links, func(port *observe.Link) bool { return port.Master == l.ID })
		if l.Kind == known.KindBridge && l.Origin == observe.Trestle && !used {
			names = append(names, l.Name)
		}
	}
	return names
}

// shared are the things of ours that outlive every container: bridges, and what is in the packet filter unless an open route_localnet relies on it.
func shared(h *observe.Host) (list []string) {
	own := h.Own()
	bridges := emptyBridges(own)
	for _, name := range bridges {
		list = append(list, "bridge "+name)
	}
	for key, value := range own.Sysctls {
		link, open := strings.CutSuffix(strings.TrimPrefix(key, "ipv4/conf/"), "/route_localnet")
		if open && value == "1" && !slices.Contains(bridges, link) || own.Filter == nil {
			return list
		}
	}
	for _, t := range own.Filter.Tables {
		if firewall.OwnTable(t.Name) {
			list = append(list, "table "+t.String())
		}
		for _, c := range t.Chains {
			if strings.HasPrefix(c.Name, firewall.ChainPrefix) {
				list = append(list, "chain "+c.Name+" of "+t.String())
			}
		}
	}
	return list
}

// lastOut takes along what nobody needs after the last container: our bridges, our part of the packet filter, and what host-local keeps beside the
// reservations. It returns what went. A bridge goes by a GC, as if its network were known: the plugin knows whether it may.
func lastOut(ctx context.Context, h *observe.Host, bundle plugin.Bundle) ([]string, error) {
	for _, name := range emptyBridges(h.Own()) {
		r := request{pluginList: pluginList{Name: "last", CNIVersion: plugin.Current, Plugins: known.Ground(name)}}
		if _, err := r.call(ctx, bundle, "GC"); err != nil {
			return nil, err
		}
	}
	filter := host.Open(host.Choice{})
	defer filter.Close()
	if err := filter.Unground(ctx); err != nil {
		return nil, err
	}
	gone := shared(h)
	var errs []error
	for _, dir := range ipam.Places() {
		removed, err := ipam.Forget(dir)
		if errs = append(errs, err); removed != "" {
			gone = append(gone, "directory "+removed)
		}
	}
	return gone, fault.Join(errs...)
}

// last is lastOut at the end of a collection of every network, or what it would be.
func (g *gathering) last(ctx context.Context) error {
	if g.network != "" {
		return nil
	}
	h, err := observe.Read(ctx, observe.Options{Results: g.results})
	if err != nil || !nobody(h) {
		return err
	}
	if !g.yes {
		for _, what := range shared(h) {
			g.say("host", "would remove "+what+": nobody is left who needs it")
		}
		return nil
	}
	gone, err := lastOut(ctx, h, g.bundle)
	for _, what := range gone {
		g.say("host", "removed "+what+": nobody is left who needs it")
	}
	return err
}

// uninstalled is what an uninstallation takes along.
func uninstalled(ctx context.Context, bundle plugin.Bundle) ([]string, error) {
	h, err := observe.Read(ctx, observe.Options{})
	if err != nil {
		return nil, err
	}
	return lastOut(ctx, h, bundle)
}
