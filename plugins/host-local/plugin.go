// Package hostlocal is the CNI address plugin host-local: it reserves addresses of the host's own ranges, one for each range set,
// in files of the host. It keeps the configuration and the files of the plugin of that name in containernetworking/plugins.
//
// An address plugin is a parser and four verbs: reserve (ADD), release (DEL), held (CHECK), free (STATUS); GC releases what no
// valid attachment holds.
package hostlocal

import (
	"context"
	"errors"
	"io/fs"

	"github.com/trestle-cni/trestle/pkg/ipam"
	"github.com/trestle-cni/trestle/pkg/plugin"
)

// Plugin returns host-local.
func Plugin() plugin.Plugin {
	return plugin.Plugin{Name: "host-local", Args: true, Add: add, Del: del, Check: check, GC: gc, Status: status,
		Parse: func(r *plugin.Request) error { _, err := parse(r); return err }}
}

func holder(r *plugin.Request) ipam.Holder {
	return ipam.Holder{ContainerID: r.ContainerID, IfName: r.IfName}
}

// open opens the network's store, and makes it.
func open(ctx context.Context, r *plugin.Request, c config) (*ipam.Store, error) {
	s, err := ipam.Open(ctx, c.dataDir, r.Network, true)
	if err != nil {
		return nil, err
	}
	s.Policy = c.policy
	ipam.Remember(c.dataDir, r.Network)
	return s, nil
}

// existing opens the network's store; nil where the network has none and so nothing is reserved. Only an ADD makes one.
func existing(ctx context.Context, r *plugin.Request, c config) (*ipam.Store, error) {
	s, err := ipam.Open(ctx, c.dataDir, r.Network, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s.Policy = c.policy
	return s, nil
}

// del releases every address of the container's interface, whatever the configuration has become since. One that cannot be read is no reason to keep
// what the container held.
func del(ctx context.Context, r *plugin.Request) error {
	c, err := parseStore(r)
	if err != nil {
		r.Logf("DEL goes on in spite of: %v", err)
	}
	_, err = ipam.LetGo(ctx, ipam.Dirs(r.Network, c.dataDir), r.Network, holder(r), c.policy)
	return err
}

// gc releases every address that no valid attachment holds, and removes what a crash tore. A file that names the container only
// stays while any interface of that container is valid. When the runtime named no attachments, only the provably dead lose theirs.
func gc(ctx context.Context, r *plugin.Request) error {
	c, err := parseStore(r)
	if err != nil {
		return err
	}
	valid, err := r.ValidAttachments()
	if err != nil {
		return err
	}
	return ipam.Collect(ctx, ipam.Dirs(r.Network, c.dataDir), r.Network, valid.Holders(r.Network), c.policy)
}
