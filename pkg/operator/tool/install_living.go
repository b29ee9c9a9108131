package tool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trestle-cni/trestle/pkg/cache"
	"github.com/trestle-cni/trestle/pkg/fault"
	"github.com/trestle-cni/trestle/pkg/firewall"
	"github.com/trestle-cni/trestle/pkg/firewall/host"
	"github.com/trestle-cni/trestle/pkg/operator/observe"
	"github.com/trestle-cni/trestle/pkg/owner"
)

// holders are who has something that these plugins made, and how the owner is called.
type holders map[owner.ID]string

// noneAttached fails while this host has something that our plugins made and that nobody could delete without them: links here and in containers, devices that are
// lent, rules for a container, ports of one that another main plugin attached.
func noneAttached(ctx context.Context) error {
	h, err := observe.Read(ctx, observe.Options{})
	if err != nil {
		return err
	}
	all := make(holders)
	all.link(h)
	all.live(h)
	if err := all.rule(ctx); err != nil || len(all) == 0 {
		return err
	}
	return fault.New(fault.Taken, "delete those containers first (drain the node); what no container is left for goes with a GC of its network",
		"%d attachments are of these plugins, as %s", len(all), slices.Min(slices.Collect(maps.Values(all))))
}

// link adds the owners of links: of the host's, and of those in a container of whom something on this host tells; others may be of a host within this one. Every container
// has a lo, and whoever comes after can do without its mark.
func (all holders) link(h *observe.Host) {
	here := make(map[owner.ID]bool)
	for _, a := range h.Attachments {
		here[identity(a)] = true
	}
	for _, n := range h.Namespaces {
		for _, l := range n.Links {
			if o, ok := owner.Parse(l.Alias); ok && l.Name != "lo" && (n.Host || here[o.ID]) {
				all[o.ID] = o.Text
			}
		}
	}
}

func identity(a *observe.Attachment) owner.ID {
	return owner.Of(a.Network, a.ContainerID, a.IfName).ID
}

// live adds attachments that bear no mark that is seen: a device that was lent, and what a plugin of one of our names made in a namespace that is not seen from here.
func (all holders) live(h *observe.Host) {
	for _, a := range h.Attachments {
		lent := a.Device != "" && (cache.Entry{Netns: a.Netns}).Lives()
		if a.State != observe.Leaked && (lent || (a.Device != "" || a.Promise.Apart) && hidden(a)) {
			all[identity(a)] = a.ID
		}
	}
}

// hidden says whether a network namespace cannot be looked into, or looked for, since the folder of such names is not here, as it is not in a pod. Of a process's there is no folder
// once that has ended.
func hidden(a *observe.Attachment) bool {
	_, err := os.Stat(filepath.Dir(a.Netns))
	return a.State == observe.Unseen || a.Namespace == "" && errors.Is(err, fs.ErrNotExist) && !strings.HasPrefix(a.Netns, "/proc/")
}

// rule adds those for whom the packet filter has something.
func (all holders) rule(ctx context.Context) error {
	filter := host.Open(host.Choice{})
	defer filter.Close()
	for _, role := range firewall.Roles() {
		list, err := filter.Owners(ctx, role, [8]byte{})
		if err != nil {
			return fmt.Errorf("packet filter: %w", err)
		}
		for _, o := range list {
			all[o.ID] = o.Text
		}
	}
	return nil
}
